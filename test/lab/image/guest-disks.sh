#!/bin/bash
# guest-disks.sh ROOT.tar OUT-DIRECTORY plain|lvm gpt|dos bios|uefi HOST ADDRESS UUID-PREFIX : the disks of a source server that runs as a guest (raw, sparse), and volumes.json,
# which tells where each of its file systems lies.
#   system.img  4 GiB: [BIOS boot partition or ESP,] /boot ext4, and / ext4, /home ext4, swap, each in a partition, or as volumes of the group vg0
#   data.img    1 GiB: one partition, /data xfs with the cluster of PostgreSQL
#   pool.img    512 MiB: /pool btrfs on the whole disk, with a subvolume
# GRUB in the boot sector, or on the ESP in Debian's folder only: where the firmware has an entry for it, which is not on the disks (kernel and initramfs are put beside them,
# for a firmware without one). An initramfs that knows virtio only. Needs no device mapper: a logical volume is a loop device at its place.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${LANDFALL_LAB_UNSHARED:-}" != 1 ]; then LANDFALL_LAB_UNSHARED=1 exec unshare -m --propagation private bash "$0" "$@"; fi
# as long as this namespace has a copy of another lab's mount, that lab cannot let its disk go
own=$(stat -c '%Hd:%Ld' /)
awk -v own="$own" '$3 !~ /^0:/ && $3 != own { print $5 }' /proc/self/mountinfo | while IFS= read -r other; do umount --lazy "$(printf '%b' "$other")" 2>/dev/null || true; done
TAR=$1 OUT=$2 LAYOUT=$3 TABLE=$4 FIRMWARE=$5 HOST=$6 ADDRESS=$7 PREFIX=$8
NETWORK=${ADDRESS%.*}
UU=$PREFIX-1ab0-4000-8000-0000000000
ROOT_UUID=${UU}01 BOOT_UUID=${UU}02 SWAP_UUID=${UU}03 DATA_UUID=${UU}04 HOME_UUID=${UU}05 POOL_UUID=${UU}06 ESP_ID=${PREFIX^^}
ROOT_MIB=2304 HOME_MIB=256 SWAP_MIB=128 ESP_MIB=64
SYSTEM=$OUT/system.img DATA=$OUT/data.img POOL=$OUT/pool.img
rm -f "$SYSTEM" "$DATA" "$POOL"
truncate -s 4G "$SYSTEM"; truncate -s 1G "$DATA"; truncate -s 512M "$POOL"

{
  if [ "$TABLE" = gpt ]; then
    echo 'label: gpt'; echo "label-id: ${UU}A1"
    if [ "$FIRMWARE" = uefi ]; then echo "start=1MiB, size=${ESP_MIB}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"EFI System Partition\""
    else echo 'start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name="bios"'; fi
    linux=L swap=S pv=E6D6D379-F507-44C2-A23C-238F2A3DF928
  else
    echo 'label: dos'; echo "label-id: 0x$PREFIX"
    linux=83 swap=82 pv=8e
  fi
  # the first sector: after that partition there is no need to say it
  echo "$([ "$TABLE" = gpt ] || echo 'start=1MiB, ')size=256MiB, type=$linux"
  if [ "$LAYOUT" = lvm ]; then echo "type=$pv"
  else echo "size=${ROOT_MIB}MiB, type=$linux"; echo "size=${HOME_MIB}MiB, type=$linux"; echo "size=${SWAP_MIB}MiB, type=$swap"; fi
} | sfdisk -q "$SYSTEM"
printf 'label: gpt\nlabel-id: %sA2\nstart=1MiB, type=L, name="data"\n' "$UU" | sfdisk -q "$DATA"
boot=$([ "$TABLE" = gpt ] && echo 2 || echo 1)

LOOPS=() M=$(mktemp -d)
cleanup() {
  set +e
  mountpoint -q "$M" && umount -R "$M"
  for loop in "${LOOPS[@]}"; do partx -d "$loop" 2>/dev/null; losetup -d "$loop"; done
  rmdir "$M"
}
trap cleanup EXIT
# loop FILE [OFFSET SIZE] : the device, in $device
loop() {
  device=$(losetup -f --show ${2:+-o "$2" --sizelimit "$3"} "$1")
  LOOPS+=("$device")
}
# part IMAGE NUMBER : offset and size in bytes
part() { sfdisk --json "$1" | jq -r ".partitiontable.partitions[$2-1] | \"\(.start*512) \(.size*512)\""; }
volumes=()
# volume MOUNT-POINT IMAGE OFFSET SIZE TYPE : for volumes.json
volume() { volumes+=("{\"mountPoint\":\"$1\",\"image\":\"$(basename "$2")\",\"offsetBytes\":$3,\"sizeBytes\":$4,\"type\":\"$5\"}"); }

loop "$SYSTEM"; S=$device; partx -u "$S"
volume /boot "$SYSTEM" $(part "$SYSTEM" "$boot") ext4
B=${S}p$boot
if [ "$LAYOUT" = lvm ]; then
  read -r pv_offset pv_size < <(part "$SYSTEM" $((boot + 1)))
  loop "$SYSTEM" "$pv_offset" "$pv_size"; PV=$device
  export LVM_SUPPRESS_FD_WARNINGS=1 DM_DISABLE_UDEV=1
  lvm_quiet() {
    "$1" --config "devices{scan_lvs=0 use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source=\"none\" filter=[\"a|^$PV\$|\",\"r|.*|\"]} activation{udev_sync=0 udev_rules=0 monitoring=0} backup{backup=0 archive=0} global{event_activation=0}" --driverloaded n "${@:2}" 2>/dev/null
  }
  lvm_quiet pvcreate -q -ff -y "$PV"; lvm_quiet vgcreate -q -y vg0 "$PV"
  for size in "root $ROOT_MIB" "home $HOME_MIB" "swap $SWAP_MIB"; do lvm_quiet lvcreate -q -an -Zn -Wn -y -L "${size#* }M" -n "${size% *}" vg0; done
  pe_start=$(lvm_quiet pvs --noheadings --units b --nosuffix -o pe_start "$PV" | tr -d ' ') extent=$(lvm_quiet vgs --noheadings --units b --nosuffix -o vg_extent_size vg0 | tr -d ' ')
  # place NAME : offset and size in bytes of a volume, which is one piece
  place() { lvm_quiet lvs --noheadings --units b --nosuffix -o seg_pe_ranges,seg_size "vg0/$1" | { read -r range size; first=${range##*:}; echo "$((pv_offset + pe_start + ${first%%-*} * extent)) $size"; }; }
  ROOT_NAME=/dev/mapper/vg0-root HOME_NAME=/dev/mapper/vg0-home SWAP_NAME=/dev/mapper/vg0-swap
  loop "$SYSTEM" $(place root); R=$device
  loop "$SYSTEM" $(place home); H=$device
  loop "$SYSTEM" $(place swap); W=$device
else
  place() { case $1 in root) part "$SYSTEM" $((boot + 1)) ;; home) part "$SYSTEM" $((boot + 2)) ;; swap) part "$SYSTEM" $((boot + 3)) ;; esac; }
  R=${S}p$((boot + 1)) H=${S}p$((boot + 2)) W=${S}p$((boot + 3))
  ROOT_NAME=UUID=$ROOT_UUID HOME_NAME=UUID=$HOME_UUID SWAP_NAME=UUID=$SWAP_UUID
fi
volume / "$SYSTEM" $(place root) ext4; volume /home "$SYSTEM" $(place home) ext4
if [ "$FIRMWARE" = uefi ]; then loop "$SYSTEM" $(part "$SYSTEM" 1); E=$device; volume /boot/efi "$SYSTEM" $(part "$SYSTEM" 1) vfat; mkfs.vfat -F 32 -i "$ESP_ID" -n ESP "$E" >/dev/null; fi
loop "$DATA" $(part "$DATA" 1); D=$device; volume /data "$DATA" $(part "$DATA" 1) xfs
loop "$POOL"; P=$device; volume /pool "$POOL" 0 $((512 << 20)) btrfs

ext4() { mkfs.ext4 -q -F -U "$2" -L "$3" -E lazy_itable_init=0,lazy_journal_init=0 "$1"; }
ext4 "$R" "$ROOT_UUID" root; ext4 "$B" "$BOOT_UUID" boot; ext4 "$H" "$HOME_UUID" home
mkswap -q -U "$SWAP_UUID" -L swap "$W"
mkfs.xfs -q -f -m uuid="$DATA_UUID" -L data "$D"
mkfs.btrfs -q -f -U "$POOL_UUID" -L pool "$P"

mount "$R" "$M"; mkdir "$M"/{boot,home,data,pool}
mount "$B" "$M/boot"; mount "$H" "$M/home"; mount -o nouuid "$D" "$M/data"; mount "$P" "$M/pool"
tar -C "$M" --numeric-owner --xattrs --xattrs-include='*' -xpf "$TAR"

cat >"$M/etc/fstab" <<F
$ROOT_NAME / ext4 errors=remount-ro 0 1
UUID=$BOOT_UUID /boot ext4 defaults 0 2
$HOME_NAME /home ext4 defaults 0 2
UUID=$DATA_UUID /data xfs defaults 0 0
UUID=$POOL_UUID /pool btrfs defaults 0 0
$SWAP_NAME none swap sw 0 0
F
echo "$HOST" >"$M/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$HOST" >"$M/etc/hosts"
printf '%s1ab04000800000000000c0de\n' "$PREFIX" >"$M/etc/machine-id"
printf 'nameserver %s.1\nsearch lab.test\n' "$NETWORK" >"$M/etc/resolv.conf"
# two adapters in a bond, of which one works at a time
mkdir -p "$M/etc/systemd/network"
printf '[NetDev]\nName=bond0\nKind=bond\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=100ms\n' >"$M/etc/systemd/network/10-bond0.netdev"
for adapter in ens3 ens4; do printf '[Match]\nName=%s\n\n[Network]\nBond=bond0\n' $adapter >"$M/etc/systemd/network/10-$adapter.network"; done
printf '[Match]\nName=bond0\n\n[Network]\nAddress=%s/24\nGateway=%s.1\nDNS=%s.1\nDomains=lab.test\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n' "$ADDRESS" "$NETWORK" "$NETWORK" >"$M/etc/systemd/network/20-bond0.network"

if [ "$FIRMWARE" = uefi ]; then
  mkdir "$M/boot/efi"
  echo "UUID=${ESP_ID:0:4}-${ESP_ID:4} /boot/efi vfat umask=0077 0 1" >>"$M/etc/fstab"
fi

bash "$here/guest-programs.sh" "$M"
cp "$here/guest-load.sh" "$M/usr/local/sbin/lab-load"; chmod 755 "$M/usr/local/sbin/lab-load"
mkdir -p "$M/opt/landfall"
bash "$here/zoo.sh" "$M/srv/zoo" ext4
bash "$here/zoo.sh" "$M/data/zoo" xfs
mkdir "$M/home/someone"; echo 'a file of somebody' >"$M/home/someone/notes"; chown -R 1000:1000 "$M/home/someone"; setfacl -m u:1001:r "$M/home/someone/notes"
btrfs -q subvolume create "$M/pool/archive"
for place in pool pool/archive; do for i in $(seq 40); do head -c $((i * 311)) /dev/urandom >"$M/$place/record-$i"; done; done
setfattr -n user.note -v pool "$M/pool/record-1"

# /dev as the guest's tools expect it, with nothing of this machine but the disks
mount -t tmpfs -o mode=755 dev "$M/dev"; mount -t proc proc "$M/proc"; mount -t sysfs sysfs "$M/sys"
mknod -m 666 "$M/dev/null" c 1 3; mknod -m 666 "$M/dev/zero" c 1 5; mknod -m 666 "$M/dev/random" c 1 8; mknod -m 666 "$M/dev/urandom" c 1 9
ln -s /proc/self/fd "$M/dev/fd"; mkdir -p "$M/dev/disk/by-uuid"; mkdir -m 1777 "$M/dev/shm"
for node in "$S" "${S}"p*; do mknod "$M$node" b $(stat -c '0x%t 0x%T' "$node"); done
if [ "$LAYOUT" = lvm ]; then
  mknod "$M$R" b $(stat -c '0x%t 0x%T' "$R")
  # GRUB asks for what lies below a loop device
  printf '#!/bin/sh\necho "$1: (%s)"\n' "$ROOT_NAME" >"$M/usr/local/sbin/losetup"; chmod 755 "$M/usr/local/sbin/losetup"
else
  ln -s "../../$(basename "$R")" "$M/dev/disk/by-uuid/$ROOT_UUID"
fi
ln -s "../../$(basename "$B")" "$M/dev/disk/by-uuid/$BOOT_UUID"

# the database on its own file system
version=$(ls "$M/usr/lib/postgresql")
[ ! -d "$M/etc/postgresql/$version/main" ] || chroot "$M" pg_dropcluster "$version" main
chroot "$M" pg_createcluster -d /data/postgresql --start-conf auto "$version" main -- --no-sync >/dev/null
printf 'jit = off\nshared_buffers = 16MB\nmax_connections = 10\n' >>"$M/etc/postgresql/$version/main/postgresql.conf"

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
[ "$FIRMWARE" = uefi ] || chroot "$M" grub-install --target=i386-pc --modules='ext2 part_gpt part_msdos' "$S"
chroot "$M" update-grub
rm "$M/boot/grub/device.map"
if [ "$FIRMWARE" = uefi ]; then
  # as Debian's signed GRUB: it reads the menu's place from its own folder. This machine cannot mount FAT: mtools write there
  grub-mkimage -O x86_64-efi -p /EFI/debian -o "$OUT/grubx64.efi" part_gpt part_msdos fat ext2 lvm search search_fs_uuid normal configfile linux echo test gzio serial terminal all_video
  printf 'search.fs_uuid %s root\nset prefix=($root)/grub\nconfigfile $prefix/grub.cfg\n' "$BOOT_UUID" >"$OUT/grub.cfg"
  mmd -i "$E" ::/EFI ::/EFI/debian
  mcopy -i "$E" "$OUT/grubx64.efi" "$OUT/grub.cfg" ::/EFI/debian/
  rm "$OUT/grubx64.efi" "$OUT/grub.cfg"
  cp "$M/boot/vmlinuz-$kernel" "$OUT/kernel"; cp "$M/boot/initrd.img-$kernel" "$OUT/initramfs"
fi
rm -f "$M/usr/local/sbin/losetup"
grep -q "root=$ROOT_NAME ro" "$M/boot/grub/grub.cfg"
(IFS=,; echo "[${volumes[*]}]") >"$OUT/volumes.json"
