#!/bin/bash
# guest-install.sh IMAGE OFFSET SIZE TREE [COMMAND...] : copies what is in TREE into the file system at this place of an image, and runs COMMAND in it.
# In a mount namespace of its own: a copy of the mount in somebody else's would keep the file system in use while a guest writes to it.
set -euo pipefail
if [ "${LANDFALL_LAB_UNSHARED:-}" != 1 ]; then LANDFALL_LAB_UNSHARED=1 exec unshare -m --propagation private bash "$0" "$@"; fi
IMAGE=$1 OFFSET=$2 SIZE=$3 TREE=$4; shift 4
M=$(mktemp -d)
trap 'mountpoint -q "$M" && umount "$M"; rmdir "$M"' EXIT
mount -o "loop,offset=$OFFSET,sizelimit=$SIZE" "$IMAGE" "$M"
# a link stays a link, and what is linked twice stays so
cp -r --no-dereference --preserve=mode,links --no-target-directory "$TREE" "$M"
[ $# = 0 ] || chroot "$M" "$@"
