#!/bin/bash
# root.sh OUT.tar [PACKAGE...] : the root tree of the lab's source server: Debian 12, minimal, bootable, trimmed of what only costs time.
# With further packages it is the one of the lab's guests: btrfs stays, and as emulation makes every byte slow, more goes: what only PostgreSQL's just-in-time compiler or
# nobody here needs, and more drivers.
set -euo pipefail
# in a mount namespace of its own and with its scratch space beside the result: whatever ends it, nothing stays mounted or hidden elsewhere
if [ "${LANDFALL_LAB_UNSHARED:-}" != 1 ]; then LANDFALL_LAB_UNSHARED=1 exec unshare -m --propagation private bash "$0" "$@"; fi
# as long as this namespace has a copy of another lab's mount, that lab cannot let its disk go
own=$(stat -c '%Hd:%Ld' /)
awk -v own="$own" '$3 !~ /^0:/ && $3 != own { print $5 }' /proc/self/mountinfo | while IFS= read -r other; do umount --lazy "$(printf '%b' "$other")" 2>/dev/null || true; done
OUT=$1; shift
export TMPDIR=$OUT.scratch
rm -rf "$TMPDIR"; mkdir -m 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
PACKAGES=usr-is-merged,linux-image-amd64,grub-pc,initramfs-tools,systemd,systemd-sysv,udev,dbus,iproute2,kmod,e2fsprogs,xfsprogs,fdisk,acl,attr,libcap2-bin,zstd,iputils-ping,procps
for package in "$@"; do PACKAGES+=,$package; done
export SOURCE_DATE_EPOCH=1700000000

# documentation, hardware that no lab machine has, file systems that it does not use
trim=()
for path in '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/doc/*' '/usr/share/info/*' '/usr/lib/udev/hwdb.d/*' '/usr/share/i18n/*'; do trim+=(--dpkgopt="path-exclude=$path"); done
modules='/lib/modules/*/kernel'
for path in sound drivers/{accel,bluetooth,dma,edac,firewire,gpu,hid,hwmon,iio,infiniband,input/touchscreen,isdn,leds,media,mmc,mtd,mfd,nfc,platform,power,staging,target,thunderbolt,usb,vhost,video,w1} \
  drivers/net/{ethernet,wireless,usb,can,hamradio,ieee802154,wwan} fs/{afs,ceph,cifs,smb,coda,dlm,f2fs,gfs2,jfs,nfs,nfsd,ntfs,ntfs3,ocfs2,orangefs,reiserfs,ubifs,udf,9p} \
  net/{bluetooth,can,ceph,dccp,mac80211,netfilter,openvswitch,rds,rxrpc,sched,sctp,sunrpc,tipc,wireless}; do trim+=(--dpkgopt="path-exclude=$modules/$path/*"); done
hooks=()
if [ $# = 0 ]; then trim+=(--dpkgopt="path-exclude=$modules/fs/btrfs/*")
else
  # of the kernel's modules only what a guest of the lab needs on the old or the new hardware: an initramfs takes a second for every three of them
  trim+=(--dpkgopt="path-exclude=$modules/*")
  for path in 'block/*' 'fs/'{binfmt_misc,mbcache}.ko 'fs/'{autofs,btrfs,configfs,efivarfs,ext4,fat,fuse,jbd2,overlayfs,xfs}'/*' 'fs/nls/nls_'{ascii,cp437,iso8859-1,utf8}.ko 'lib/*' \
    'crypto/'{async_tx/,blake2b,crc,sha,xor,xxhash}'*' 'arch/x86/crypto/'{blake2,crc,sha}'*' 'drivers/ata/'{ahci,ata_generic,ata_piix,libahci,libata}.ko 'drivers/'{cdrom,message/fusion,nvme/common,virtio}'/*' \
    'drivers/nvme/host/'{nvme,nvme-core}.ko 'drivers/char/hw_random/virtio*' 'drivers/firmware/'{qemu_fw_cfg,efi/efi-pstore}.ko 'drivers/block/'{loop,virtio_blk}.ko 'drivers/md/'{dm,md,raid}'*' 'drivers/md/persistent-data/*' \
    'drivers/net/'{bonding,vmxnet3}'/*' 'drivers/net/'{dummy,net_failover,virtio_net}.ko 'drivers/scsi/'{raid_class,scsi_common,scsi_mod,scsi_transport,sd_mod,sg,sr_mod,virtio_scsi,vmw_pvscsi}'*' 'net/'{802,8021q,bridge/bridge,core,llc,tls}'*'; do
    trim+=(--dpkgopt="path-include=$modules/$path")
  done
  trim+=(--dpkgopt="path-exclude=$modules/lib/test_*" --dpkgopt='path-exclude=/lib/udev/hwdb.d/*' --dpkgopt='path-exclude=/usr/lib/*/libLLVM*' --dpkgopt='path-exclude=/usr/lib/*/libz3*')
  trim+=(--dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/bitcode/*' --dpkgopt='path-exclude=/usr/lib/*/gconv/*' --dpkgopt='path-exclude=/usr/lib/*/perl/*/CORE/*' --dpkgopt='path-exclude=/usr/lib/*/perl/*/auto/Encode/[CJKT]*/*')
  # what its own package needs until it is set up
  hooks+=(--customize-hook='rm -rf "$1"/usr/lib/python3* "$1"/usr/bin/python3* "$1"/usr/lib/udev/hwdb.bin; chroot "$1" sh -c "pg_lsclusters -h | while read -r version name rest; do pg_dropcluster \"\$version\" \"\$name\"; done"')
fi

# What emulation makes expensive: guards against the processor's leaks, which protect nothing there, and programs at a new address each time, whose code
# QEMU then translates anew each time (it starts a program in 25 ms instead of 60).
export GRUB_DEFAULTS='GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT="quiet mitigations=off norandmaps"
GRUB_CMDLINE_LINUX="console=ttyS0,115200"
GRUB_TERMINAL="console serial"
GRUB_DISABLE_OS_PROBER=true'

mmdebstrap --quiet --variant=minbase --mode=root --format=tar --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include="$PACKAGES" \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt='force-unsafe-io' "${trim[@]}" \
  --setup-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"; printf "COMPRESS=zstd\nCOMPRESSLEVEL=1\n" >"$1/etc/initramfs-tools/conf.d/compress"; echo RESUME=none >"$1/etc/initramfs-tools/conf.d/resume"' \
  --customize-hook='chroot "$1" sh -c "echo root:landfall-lab | chpasswd"' \
  --customize-hook='chroot "$1" systemctl -q enable systemd-networkd.service serial-getty@ttyS0.service' \
  --customize-hook='chroot "$1" systemctl -q mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service systemd-timesyncd.service' \
  --customize-hook='printf "%s\n" "$GRUB_DEFAULTS" >>"$1/etc/default/grub"' \
  "${hooks[@]}" --customize-hook='rm -rf "$1"/var/cache/apt/archives/* "$1"/var/lib/apt/lists/*' \
  bookworm "$OUT"
