#!/bin/bash
# disks.sh ROOT.tar OUT-DIRECTORY gpt|dos : the disks of the lab's source server, system.img and data.img (raw, sparse).
#   system.img  3 GiB: [BIOS boot partition,] /boot ext4, / ext4, swap; GRUB in the boot sector; an initramfs that knows virtio only
#   data.img    1 GiB: one partition, /data xfs
# Works on loop devices; everything it attaches or mounts is gone when it ends, also when it fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${LANDFALL_LAB_UNSHARED:-}" != 1 ]; then LANDFALL_LAB_UNSHARED=1 exec unshare -m --propagation private bash "$0" "$@"; fi
# as long as this namespace has a copy of another lab's mount, that lab cannot let its disk go
own=$(stat -c '%Hd:%Ld' /)
awk -v own="$own" '$3 !~ /^0:/ && $3 != own { print $5 }' /proc/self/mountinfo | while IFS= read -r other; do umount --lazy "$(printf '%b' "$other")" 2>/dev/null || true; done
TAR=$1; OUT=$2; TABLE=$3
HOST=src-db01
UU=5a7b0000-1ab0-4000-8000-0000000000
ROOT_UUID=${UU}01 BOOT_UUID=${UU}02 SWAP_UUID=${UU}03 DATA_UUID=${UU}04
SYSTEM=$OUT/system.img DATA=$OUT/data.img
rm -f "$SYSTEM" "$DATA"
truncate -s 3G "$SYSTEM"; truncate -s 1G "$DATA"

if [ "$TABLE" = gpt ]; then
  sfdisk -q "$SYSTEM" <<F
label: gpt
label-id: 5A7B0000-1AB0-4000-8000-0000000000A1
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, uuid=5A7B0000-1AB0-4000-8000-0000000000B1, name="bios"
size=256MiB, type=L, uuid=5A7B0000-1AB0-4000-8000-0000000000B2, name="boot"
size=2432MiB, type=L, uuid=5A7B0000-1AB0-4000-8000-0000000000B3, name="root"
type=S, uuid=5A7B0000-1AB0-4000-8000-0000000000B4, name="swap"
F
  boot=2 root=3 swap=4
  printf 'label: gpt\nlabel-id: 5A7B0000-1AB0-4000-8000-0000000000A2\nstart=1MiB, type=L, uuid=5A7B0000-1AB0-4000-8000-0000000000B5, name="data"\n' | sfdisk -q "$DATA"
else
  printf 'label: dos\nlabel-id: 0x5a7b1ab0\nstart=1MiB, size=256MiB, type=83, bootable\nsize=2432MiB, type=83\ntype=82\n' | sfdisk -q "$SYSTEM"
  boot=1 root=2 swap=3
  printf 'label: dos\nlabel-id: 0x5a7b1ab1\nstart=1MiB, type=83\n' | sfdisk -q "$DATA"
fi

S='' D='' M=$(mktemp -d)
cleanup() {
  set +e
  mountpoint -q "$M" && umount -R "$M"
  for loop in $S $D; do partx -d "$loop" 2>/dev/null; losetup -d "$loop"; done
  rmdir "$M"
}
trap cleanup EXIT
S=$(losetup -f --show "$SYSTEM"); partx -u "$S"
D=$(losetup -f --show "$DATA"); partx -u "$D"

mkfs.ext4 -q -F -U $ROOT_UUID -L root -E lazy_itable_init=0,lazy_journal_init=0 "${S}p$root"
mkfs.ext4 -q -F -U $BOOT_UUID -L boot -E lazy_itable_init=0,lazy_journal_init=0 "${S}p$boot"
mkswap -q -U $SWAP_UUID -L swap "${S}p$swap"
mkfs.xfs -q -f -m uuid=$DATA_UUID -L data "${D}p1"

mount "${S}p$root" "$M"
mkdir "$M/boot" "$M/data"
# hidden below the mount point of /data, as happens on real servers
echo 'written before /data was mounted' >"$M/data/below-the-mount"
mount "${S}p$boot" "$M/boot"
mount -o nouuid "${D}p1" "$M/data"
tar -C "$M" --numeric-owner --xattrs --xattrs-include='*' -xpf "$TAR"

cat >"$M/etc/fstab" <<F
UUID=$ROOT_UUID / ext4 errors=remount-ro 0 1
UUID=$BOOT_UUID /boot ext4 defaults 0 2
UUID=$DATA_UUID /data xfs defaults 0 0
UUID=$SWAP_UUID none swap sw 0 0
F
echo $HOST >"$M/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' $HOST >"$M/etc/hosts"
echo 5a7b00001ab04000800000000000c0de >"$M/etc/machine-id"
printf 'nameserver 10.77.0.1\nsearch lab.test\n' >"$M/etc/resolv.conf"
mkdir -p "$M/etc/systemd/network"
printf '[Match]\nName=ens3\n\n[Network]\nAddress=10.77.0.11/24\nGateway=10.77.0.1\nDNS=10.77.0.1\nDomains=lab.test\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n' >"$M/etc/systemd/network/10-ens3.network"

bash "$here/zoo.sh" "$M/srv/zoo" ext4
bash "$here/zoo.sh" "$M/data/zoo" xfs
mkdir -p "$M/data/proof" "$M/data/db" "$M/data/spool"
head -c 24M /dev/urandom >"$M/data/db/table.ibd"
for i in $(seq 400); do head -c $((i * 97)) /dev/urandom >"$M/data/spool/message-$i"; done

# /dev as the guest's tools expect it, with nothing of this machine but the two disks
mount -t tmpfs -o mode=755 dev "$M/dev"; mount -t proc proc "$M/proc"; mount -t sysfs sysfs "$M/sys"
mknod -m 666 "$M/dev/null" c 1 3; mknod -m 666 "$M/dev/zero" c 1 5; mknod -m 666 "$M/dev/random" c 1 8; mknod -m 666 "$M/dev/urandom" c 1 9
ln -s /proc/self/fd "$M/dev/fd"; mkdir -p "$M/dev/disk/by-uuid"
for node in "$S" "${S}"p* "$D" "${D}p1"; do mknod "$M$node" b $(stat -c '0x%t 0x%T' "$node"); done
ln -s "../../$(basename "${S}p$root")" "$M/dev/disk/by-uuid/$ROOT_UUID"
ln -s "../../$(basename "${S}p$boot")" "$M/dev/disk/by-uuid/$BOOT_UUID"

# the initramfs as a targeted installation on virtio has it: no driver of VMware hardware in it
printf 'MODULES=list\n' >"$M/etc/initramfs-tools/conf.d/driver-policy"
cp -p "$M/etc/initramfs-tools/modules" "$OUT/modules"
printf 'virtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\next4\n' >>"$M/etc/initramfs-tools/modules"
chroot "$M" update-initramfs -u -k all
cp -p "$OUT/modules" "$M/etc/initramfs-tools/modules"; rm "$OUT/modules"
printf 'MODULES=dep\n' >"$M/etc/initramfs-tools/conf.d/driver-policy"
kernel=$(ls "$M/lib/modules")
if chroot "$M" lsinitramfs "/boot/initrd.img-$kernel" | grep -E 'vmw_pvscsi|vmxnet3'; then echo 'the initramfs holds VMware drivers' >&2; exit 1; fi

mkdir -p "$M/boot/grub"
echo "(hd0) $S" >"$M/boot/grub/device.map"
chroot "$M" grub-install --target=i386-pc --modules='ext2 part_gpt part_msdos' "$S"
chroot "$M" update-grub
rm "$M/boot/grub/device.map"
grep -q "root=UUID=$ROOT_UUID" "$M/boot/grub/grub.cfg"
