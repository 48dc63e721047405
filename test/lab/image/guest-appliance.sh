#!/bin/bash
# guest-appliance.sh ROOT.tar OUT-DIRECTORY : the appliance as a guest: root.img (ext4 on the whole disk, sparse), and its kernel and initramfs, which QEMU loads.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${LANDFALL_LAB_UNSHARED:-}" != 1 ]; then LANDFALL_LAB_UNSHARED=1 exec unshare -m --propagation private bash "$0" "$@"; fi
# as long as this namespace has a copy of another lab's mount, that lab cannot let its disk go
own=$(stat -c '%Hd:%Ld' /)
awk -v own="$own" '$3 !~ /^0:/ && $3 != own { print $5 }' /proc/self/mountinfo | while IFS= read -r other; do umount --lazy "$(printf '%b' "$other")" 2>/dev/null || true; done
TAR=$1 OUT=$2 IMAGE=$2/root.img
truncate -s 3G "$IMAGE"
mkfs.ext4 -q -F -L appliance -E lazy_itable_init=0,lazy_journal_init=0 "$IMAGE"
M=$(mktemp -d)
cleanup() { set +e; mountpoint -q "$M" && umount -R "$M"; rmdir "$M"; }
trap cleanup EXIT
mount -o loop "$IMAGE" "$M"
tar -C "$M" --numeric-owner --xattrs --xattrs-include='*' -xpf "$TAR"
echo 'LABEL=appliance / ext4 defaults 0 0' >"$M/etc/fstab"
echo landfall-appliance >"$M/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 landfall-appliance\n' >"$M/etc/hosts"
# nothing of a replica is activated, mounted or used by itself
mkdir -p "$M/etc/lvm/lvmlocal.conf.d"
sed -i 's|^\(\s*\)# event_activation = 1|\1event_activation = 0|' "$M/etc/lvm/lvm.conf"
rm -f "$M"/etc/systemd/system/multi-user.target.wants/postgresql.service
ln -sf /dev/null "$M/etc/systemd/system/postgresql.service"
mkdir -p "$M/etc/systemd/network" "$M/opt/landfall"
bash "$here/guest-programs.sh" "$M"
mount -t tmpfs -o mode=755 dev "$M/dev"; mount -t proc proc "$M/proc"; mount -t sysfs sysfs "$M/sys"
mknod -m 666 "$M/dev/null" c 1 3; mknod -m 666 "$M/dev/urandom" c 1 9; ln -s /proc/self/fd "$M/dev/fd"
# the kernel of Debian's backports: two copies of one btrfs (clones) are there side by side since 6.7; from where everything else of the tree came
sed -n 's/^\(deb .*\) bookworm main.*/\1 bookworm-backports main/p' "$M/etc/apt/sources.list" >"$M/etc/apt/sources.list.d/backports.list"
cp --remove-destination /etc/resolv.conf "$M/etc/resolv.conf"
printf 'MODULES=list\n' >"$M/etc/initramfs-tools/conf.d/driver-policy"
printf 'vmw_pvscsi\nsd_mod\next4\n' >>"$M/etc/initramfs-tools/modules"
in_tree() { chroot "$M" env DEBIAN_FRONTEND=noninteractive "$@" >/dev/null; }
# its modules are compressed and have other names than those that the root tree is trimmed to
echo 'path-include=/lib/modules/*' >"$M/etc/dpkg/dpkg.cfg.d/zz-all-modules"
in_tree apt-get -q update
in_tree apt-get -qy -t bookworm-backports --no-install-recommends install linux-image-amd64
in_tree apt-get -qy purge 'linux-image-6.1.*'
rm -rf "$M"/var/cache/apt/archives/* "$M"/var/lib/apt/lists/* "$M/etc/apt/sources.list.d/backports.list" "$M/etc/resolv.conf"
chroot "$M" update-initramfs -u -k all
cp "$M"/boot/vmlinuz-* "$OUT/kernel"; cp "$M"/boot/initrd.img-* "$OUT/initramfs"
