#!/bin/bash
# Makes a fresh clone on a fresh Debian 12 (or newer) machine ready for `npm test` and `npm run demo`: Debian packages, npm packages, the
# Rust addon, govc and vcsim. Safe to repeat, quick when all is there. What it cannot install is named, one line each, and it exits with 1.
# Progress goes to standard error; standard output stays empty.
set -euo pipefail

PACKAGES=(
  acl attr btrfs-progs build-essential ca-certificates cryptsetup-bin dosfstools e2fsprogs fdisk fio grub-efi-amd64-bin grub-pc-bin grub2-common iproute2 jq
  libcap2-bin lvm2 mmdebstrap mtools openssl ovmf postgresql psmisc python3 qemu-system-x86 qemu-utils rsync stress-ng util-linux xfsprogs zstd
)
FREE_GIB=8

cd "$(dirname "$0")/../.."
LAB=$PWD/.lab
mkdir -p "$LAB/bin" "$LAB/stamps"
exec 1>&2

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: missing: %s\n' "$@"; exit 1; }

# two set-ups at once would build into the same files
exec 9>"$LAB/setup.lock"
flock 9

# one line for each thing that only a person can provide
missing=()
[ "$(id -u)" = 0 ] || missing+=('root: run it as root (loop devices, mounts and network namespaces need it)')
command -v apt-get dpkg-query >/dev/null || missing+=('apt: the lab runs on Debian 12 or newer')
command -v cargo >/dev/null || missing+=('cargo: install Rust 1.88 or newer with rustup (Debian 12 ships an older one)')
command -v go >/dev/null || missing+=('go: install Go 1.25 or newer (Debian 12 ships an older one)')
command -v npm >/dev/null || missing+=('npm: install Node.js 20 or newer with npm')
[ -e /dev/loop-control ] || missing+=('loop devices: the kernel module "loop" (/dev/loop-control) is needed')
free=$(df --output=avail -B1G . | tail -1)
[ "$free" -ge "$FREE_GIB" ] || missing+=("free space: $FREE_GIB GiB are needed here, $((free)) GiB are free")
for type in ext4 xfs; do
  grep -qw "$type" /proc/filesystems || modprobe "$type" 2>/dev/null || missing+=("file system $type: the kernel of this machine must have it")
done
[ ${#missing[@]} = 0 ] || fail "${missing[@]}"

# Debian packages
absent=()
for package in "${PACKAGES[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || absent+=("$package")
done
if [ ${#absent[@]} != 0 ]; then
  say "installing Debian packages: ${absent[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # tests run PostgreSQL servers of their own: its package is not to make and start one
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  log=$LAB/apt.log
  { apt-get -q update && apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold "${absent[@]}"; } >"$log" 2>&1 </dev/null \
    || { tail -n 5 "$log"; fail "Debian packages ${absent[*]}: apt-get could not install them (its end is above, all of it in .lab/apt.log)"; }
fi

# npm packages: what is installed must be what the lock file says, whoever installed it
same_packages() {
  node -e '
    const { readFileSync, existsSync } = require("node:fs")
    const read = path => JSON.parse(readFileSync(path, "utf8")).packages
    if (!existsSync("node_modules/.package-lock.json")) process.exit(1)
    const wanted = read("package-lock.json"), found = read("node_modules/.package-lock.json")
    const differs = Object.keys(wanted).some(key => key !== "" && !wanted[key].optional && !wanted[key].devOptional && found[key]?.version !== wanted[key].version)
    process.exit(differs ? 1 : 0)'
}
if ! same_packages; then
  say 'installing npm packages'
  npm ci --no-audit --no-fund >"$LAB/npm.log" 2>&1 </dev/null || { tail -n 5 "$LAB/npm.log"; fail 'npm packages: npm ci did not succeed (its end is above, all of it in .lab/npm.log)'; }
fi
case "$(node_modules/.bin/node --version 2>/dev/null || true)" in
  v24.*) ;;
  *) fail 'Node 24: the npm package "node" did not bring its binary; allow its install script and run npm ci again' ;;
esac

# tap runs with the plugins that .taprc names only after they were built into it (the TypeScript plugin goes: Node runs the sources as they are)
plugins=$(sha256sum .taprc)
if [ "$(cat node_modules/.landfall-tap 2>/dev/null || true)" != "$plugins" ]; then
  say 'building tap'
  node_modules/.bin/tap build >"$LAB/tap.log" 2>&1 </dev/null || { tail -n 5 "$LAB/tap.log"; fail 'tap: tap build did not succeed (its end is above, all of it in .lab/tap.log)'; }
  echo "$plugins" >node_modules/.landfall-tap
fi

# a part that is built: again when its sources changed or its result is gone
hash_of() { find "$@" -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum | cut -c1-32; }
build() { # build NAME "RESULT ..." HASH COMMAND...
  local name=$1 results=$2 hash=$3 result stamp=$LAB/stamps/$1 log=$LAB/$1.log; shift 3
  local present=1
  for result in $results; do [ -s "$result" ] || present=0; done
  if [ $present = 1 ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$hash" ]; then return; fi
  say "building $name"
  "$@" >"$log" 2>&1 </dev/null || { tail -n 15 "$log"; fail "$name: the build did not succeed (its end is above, all of it in .lab/$name.log)"; }
  for result in $results; do [ -s "$result" ] || fail "$name: the build made no $result"; done
  echo "$hash" >"$stamp"
}
addon=src/posix/addon
build addon "$addon/landfall-posix.node $addon/landfall-thaw $addon/landfall-tell" "$(hash_of "$addon/Cargo.toml" "$addon/Cargo.lock" "$addon/src" "$addon/build.sh" "$addon/build.rs" src/posix/tell)" bash "$addon/build.sh"
build govmomi "$LAB/bin/govc $LAB/bin/vcsim" "$(hash_of test/lab/go)" bash test/lab/go/build.sh "$LAB/bin"

say 'everything is there'
