#!/usr/bin/env bash
# Builds the lab's govc and vcsim into the folder DEST, from the versions that go.mod and go.sum pin:  build.sh DEST
# Quick when they are already there and newer than their sources. Needs Go 1.25 or newer and, with a cold module cache, the Go module proxy.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dest=${1:?usage: build.sh DEST}
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
sums=$(cd "$here" && cat go.mod go.sum govc/*.go vcsim/*.go | sha256sum)
if [ -x "$dest/govc" ] && [ -x "$dest/vcsim" ] && [ "$(cat "$dest/.lab-go" 2>/dev/null)" = "$sums" ]; then
  exit 0
fi
command -v go >/dev/null || { echo "build.sh: Go 1.25 or newer is needed (https://go.dev/dl)" >&2; exit 1; }
cd "$here"
# One linker at a time: linking takes more than a GB.
for name in vcsim govc; do
  GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dest/$name.new" "./$name"
  mv "$dest/$name.new" "$dest/$name"
done
echo "$sums" >"$dest/.lab-go"
