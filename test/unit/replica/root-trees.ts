/** Root trees of Red Hat and SUSE as their installers leave them: the configuration files that the boot fix-ups look at, and skeletons of directories. */
import type { Workload } from '../../../src/domain/workload.ts'
import { debian12, ext4, GIB, MIB, swap, volume, xfs } from './workloads.ts'

/** Names to texts of files, or to directories. */
export type Tree = Record<string, string | Folder<Folder<Folder<Folder<string>>>>>
type Folder<T> = Record<string, string | T>
export interface RecordedSystem {
  os: { id: string, versionId: string, name: string }
  loader: 'grub2' | 'grub-legacy'
  firmware: 'bios' | 'uefi'
  kernel: string
  rootType: 'ext3' | 'ext4' | 'xfs'
  /** drivers of the kernel; the controller and the adapter are chosen by these */
  drivers: readonly string[]
  tree: Tree
}

export const BOOT_UUID = 'b0070000-0000-4000-8000-000000000001'
export const ROOT_UUID = 'b0070000-0000-4000-8000-000000000002'
export const SWAP_UUID = 'b0070000-0000-4000-8000-000000000003'
export const ESP_ID = 'B007-0E5F'
export const MAC = '52:54:00:12:34:56'
export const ALL = ['vmw_pvscsi', 'mptspi', 'ahci', 'sd_mod', 'vmxnet3', 'e1000', 'e1000e']
const OLD = ['mptspi', 'ahci', 'sd_mod', 'e1000']

/** A server with /boot, root and swap on the MBR of one disk, or an ESP before them on a GPT; one adapter, eth0. */
export function workloadOf({ os, loader, firmware, kernel, rootType, drivers }: RecordedSystem): Workload {
  const workload = debian12()
  const gpt = firmware === 'uefi'
  const sizes = [gpt ? 256 * MIB : 0, 512 * MIB, 6 * GIB, 900 * MIB]
  const uuid = (n: number): string => gpt ? `0B1C2D3E-0000-4000-8000-00000000000${String(n)}` : `1badb002-0${String(n)}`
  const types = gpt ? ['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', ...Array<string>(3).fill('0FC63DAF-8483-4772-8E79-3D69D8477DE4')] : ['', '83', '83', '82']
  let at = MIB
  const partitions = sizes.flatMap((sizeBytes, i) => {
    const number = gpt ? i + 1 : i
    if (sizeBytes === 0) return []
    const partition = { number, startBytes: at, sizeBytes, type: types[i] ?? '83', uuid: uuid(number), name: '', bootable: number === 1 && !gpt }
    at += sizeBytes
    return [partition]
  })
  const first = gpt ? 2 : 1
  const root = rootType === 'xfs' ? xfs(ROOT_UUID, 6 * GIB) : { ...ext4(ROOT_UUID, 6 * GIB), type: rootType }
  workload.os = { id: os.id, idLike: [], versionId: os.versionId, prettyName: os.name, architecture: 'x86_64' }
  workload.firmware = firmware
  workload.machineId = ''
  workload.disks = [{ name: 'sda', sizeBytes: 8 * GIB, sectorSizeBytes: 512, table: gpt ? 'gpt' : 'dos', tableId: gpt ? '0B1C2D3E-0000-4000-8000-00000000000B' : '0x1badb002', partitions }]
  workload.volumes = [
    volume('sda', first + 1, '/', root, 6 * GIB), volume('sda', first, '/boot', ext4(BOOT_UUID, 512 * MIB), 512 * MIB), volume('sda', first + 2, undefined, swap(SWAP_UUID), 900 * MIB),
    ...gpt ? [{ ...volume('sda', 1, '/boot/efi', { ...ext4(ESP_ID, 256 * MIB), type: 'vfat' as const, typeName: 'vfat', features: [], properties: {} }, 256 * MIB), required: true }] : [],
  ]
  workload.adapters = [{ name: 'eth0', macAddress: MAC, mtu: 1500, addresses: [{ family: 'inet', address: '192.0.2.10', prefixLength: 24 }] }]
  workload.boot = { loader, bootDisks: ['sda'], commandLine: '', initramfsTool: 'dracut', kernels: [{ version: kernel, imagePath: `/boot/vmlinuz-${kernel}`, drivers: [...drivers], running: true }] }
  return workload
}

export function modules(version: string, drivers: readonly string[], builtin = 'kernel/fs/ext4/ext4.ko\nkernel/fs/xfs/xfs.ko\n'): Record<string, Record<string, Record<string, string>>> {
  return { modules: { [version]: { 'modules.dep': drivers.map(d => `kernel/drivers/x/${d}.ko.xz: kernel/lib/y.ko.xz\n`).join(''), 'modules.builtin': builtin } } }
}
export const FSTAB = `UUID=${ROOT_UUID} / ext4 defaults 1 1\nUUID=${BOOT_UUID} /boot ext4 defaults 1 2\nUUID=${SWAP_UUID} swap swap defaults 0 0\n`
export const SYSTEMD = { systemd: { systemd: '', network: { '99-default.link': '[Link]\n' }, system: { 'multi-user.target': '' } }, udev: { 'rules.d': { '80-net-setup-link.rules': '' } } }
export const IFCFG = `TYPE=Ethernet\nDEVICE=eth0\nNAME=eth0\nBOOTPROTO=none\nONBOOT=yes\nIPADDR=192.0.2.10\nPREFIX=24\nGATEWAY=192.0.2.1\n`

export const RED_HAT_5: RecordedSystem = {
  os: { id: 'rhel', versionId: '5.11', name: 'Red Hat Enterprise Linux Server release 5.11' }, loader: 'grub-legacy', firmware: 'bios', kernel: '2.6.18-398.el5', rootType: 'ext3', drivers: OLD,
  tree: {
    boot: {
      'vmlinuz-2.6.18-398.el5': 'kernel', 'initrd-2.6.18-398.el5.img': 'old',
      'grub': { 'stage1': '1', 'stage2': '2', 'device.map': '(hd0) /dev/cciss/c0d0\n', 'grub.conf': `default=0\ntimeout=5\nsplashimage=(hd0,0)/grub/splash.xpm.gz\ntitle Red Hat (2.6.18-398.el5)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.18-398.el5 ro root=/dev/sda2 resume=/dev/disk/by-path/old-part3 rhgb quiet\n\tinitrd /initrd-2.6.18-398.el5.img\n` },
    },
    lib: modules('2.6.18-398.el5', OLD, ''), sbin: { mkinitrd: '#!/bin/bash\n', grub: '', kudzu: '' },
    etc: {
      'fstab': '/dev/sda2 / ext3 defaults 1 1\nLABEL=/gone /gone ext3 defaults 1 2\n/dev/sda3 swap swap defaults 0 0\n', 'modprobe.conf': 'alias eth0 bnx2\nalias scsi_hostadapter cciss\nalias usb-controller ehci-hcd\n', 'redhat-release': 'CentOS release 5.11 (Final)\n',
      'sysconfig': { 'network': 'NETWORKING=yes\nHOSTNAME=alder\n', 'network-scripts': { 'ifcfg-eth0': `DEVICE=eth0\nBOOTPROTO=static\nHWADDR=${MAC.toUpperCase()}\nIPADDR=192.0.2.10\nNETMASK=255.255.255.0\nONBOOT=yes\n` } },
      'selinux': { config: 'SELINUX=disabled\n' }, 'rc.d': { 'init.d': { kudzu: '#!/bin/sh\n' }, 'rc3.d': { S05kudzu: '' }, 'rc5.d': { S05kudzu: '' } }, 'init.d': { kudzu: '#!/bin/sh\n' },
    },
    var: { tmp: {}, lib: { rpm: { '__db.001': 'x' } } },
  },
}

export const RED_HAT_6: RecordedSystem = {
  os: { id: 'centos', versionId: '6.10', name: 'CentOS release 6.10 (Final)' }, loader: 'grub-legacy', firmware: 'bios', kernel: '2.6.32-754.el6.x86_64', rootType: 'ext4', drivers: ALL,
  tree: {
    boot: {
      'vmlinuz-2.6.32-754.el6.x86_64': 'kernel', 'initramfs-2.6.32-754.el6.x86_64.img': 'old',
      'grub': { 'stage1': '1', 'stage2': '2', 'grub.conf': `default=1\ntitle Memory test\n\tkernel --type=netbsd /elf-memtest\ntitle CentOS (2.6.32-754.el6.x86_64)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32-754.el6.x86_64 ro root=UUID=${ROOT_UUID} rd_NO_LUKS rd_MD_UUID=01:02 rd_LVM_LV=vg/lv KEYTABLE=us rhgb quiet\n\tinitrd /initramfs-2.6.32-754.el6.x86_64.img\n` },
    },
    lib: { ...modules('2.6.32-754.el6.x86_64', ALL, 'kernel/fs/ext4/ext4.ko\n'), udev: { 'rules.d': { '75-persistent-net-generator.rules': 'x' } } }, sbin: { dracut: '#!/bin/bash\n# --add-drivers\n', grub: '' }, usr: { bin: { lsinitrd: '' } },
    etc: {
      'redhat-release': 'CentOS release 6.10 (Final)\n',
      'fstab': FSTAB, 'udev': { 'rules.d': { '70-persistent-net.rules': `SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${MAC}", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n` } },
      'sysconfig': { 'network': 'NETWORKING=yes\n', 'network-scripts': { 'ifcfg-eth0': IFCFG } }, 'selinux': { config: '# This file\nSELINUX=enforcing\nSELINUXTYPE=targeted\n' }, 'rc.d': { 'rc3.d': {}, 'rc5.d': {} }, 'dracut.conf.d': {},
      'mdadm.conf': 'MAILADDR root\nARRAY /dev/md0 UUID=1:2\n', 'multipath': { bindings: 'mpatha 3600\n' },
    },
    var: { tmp: {} },
  },
}

export const EFI = { centos: { 'shimx64.efi': 'shim', 'grubx64.efi': 'grub', 'mmx64.efi': 'mok', 'grub.cfg': `search --no-floppy --fs-uuid --set=dev ${BOOT_UUID}\nset prefix=($dev)/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n`, 'BOOTX64.CSV': 'csv', 'fbx64.efi': 'fallback' } }

/** What dracut waits for; only grubby wrote it, into the menu alone. */
const OLD_STORAGE = 'rd.md.uuid=1:2:3:4 rd.luks.uuid=luks-0a0a0a0a-1111-4000-8000-00000000000d rd.lvm.lv=rhel/root rd.multipath=default netroot=iscsi:@192.0.2.9::3260::iqn.2026-01.test:root'

export const RED_HAT_7: RecordedSystem = {
  os: { id: 'rhel', versionId: '7.9', name: 'Red Hat Enterprise Linux Server 7.9 (Maipo)' }, loader: 'grub2', firmware: 'bios', kernel: '3.10.0-1160.el7.x86_64', rootType: 'xfs', drivers: ALL,
  tree: {
    boot: {
      'vmlinuz-3.10.0-1160.el7.x86_64': 'kernel', 'initramfs-3.10.0-1160.el7.x86_64.img': 'old', 'initramfs-3.10.0-1160.el7.x86_64kdump.img': 'kdump', 'vmlinuz-0-rescue-abc': 'rescue',
      'grub2': { 'device.map': '(hd0) /dev/vda\n', 'i386-pc': {}, 'grub.cfg': `search --no-floppy --fs-uuid --set=root ${BOOT_UUID}\nmenuentry 'Red Hat' --class red {\n\tsearch --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n\tlinux16 /vmlinuz-3.10.0-1160.el7.x86_64 root=UUID=${ROOT_UUID} ro crashkernel=auto ${OLD_STORAGE} rhgb quiet audit=1\n\tinitrd16 /initramfs-3.10.0-1160.el7.x86_64.img\n}\n` },
    },
    usr: { bin: { lsinitrd: '', dracut: '#!/bin/bash\n --no-hostonly)\n' }, lib: { grub: { 'i386-pc': { 'boot.img': '' } } }, sbin: { 'grub2-mkconfig': '' } },
    lib: { ...modules('3.10.0-1160.el7.x86_64', ALL), ...SYSTEMD },
    etc: {
      'fstab': FSTAB.replace('ext4', 'xfs'), 'machine-id': '\n', 'default': { grub: `GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="crashkernel=auto resume=/dev/sda3 rd.md.uuid=1:2:3:4 rhgb quiet"\n` }, 'sysconfig': { 'network-scripts': { 'ifcfg-eth0': IFCFG } },
      'selinux': { config: 'SELINUX=enforcing\n' }, 'dracut.conf.d': {}, 'lvm': { 'lvm.conf': 'devices {\n\tglobal_filter = [ "a|/dev/mpath|", "r|.*|" ]\n\tfilter = [ "a|.*|" ]\n}\n' }, 'cloud': { 'cloud.cfg.d': {} },
    },
    var: { tmp: {} },
  },
}

export const RED_HAT_9_UEFI: RecordedSystem = {
  os: { id: 'almalinux', versionId: '9.4', name: 'AlmaLinux 9.4 (Seafoam Ocelot)' }, loader: 'grub2', firmware: 'uefi', kernel: '5.14.0-427.el9.x86_64', rootType: 'xfs', drivers: ALL,
  tree: {
    boot: {
      'vmlinuz-5.14.0-427.el9.x86_64': 'kernel', 'initramfs-5.14.0-427.el9.x86_64.img': 'old', 'efi': { EFI: EFI },
      'grub2': { 'grub.cfg': `search --no-floppy --fs-uuid --set=boot ${BOOT_UUID}\ninsmod blscfg\nblscfg\n`, 'grubenv': `# GRUB Environment Block\nsaved_entry=0ab-5.14.0-427.el9.x86_64\n`.padEnd(1024, '#') },
      'loader': { entries: { '0ab-5.14.0-427.el9.x86_64.conf': `title AlmaLinux (5.14.0-427.el9.x86_64)\nversion 5.14.0-427.el9.x86_64\nlinux /vmlinuz-5.14.0-427.el9.x86_64\ninitrd /initramfs-5.14.0-427.el9.x86_64.img\noptions root=/dev/sda3 ro resume=UUID=00000000-0000-4000-8000-000000000099 rd.lvm.lv=almalinux/root\n` } },
    },
    usr: { bin: { lsinitrd: '', dracut: ' --no-hostonly)\n' }, sbin: {} }, lib: { ...modules('5.14.0-427.el9.x86_64', ALL), ...SYSTEMD },
    etc: {
      'fstab': `${FSTAB.replace('ext4', 'xfs')}UUID=${ESP_ID} /boot/efi vfat umask=0077 0 2\n`, 'machine-id': '\n', 'kernel': { cmdline: 'root=/dev/sda3 ro\n' }, 'selinux': { config: 'SELINUX=permissive\n' }, 'dracut.conf.d': {},
      'lvm': { devices: { 'system.devices': 'IDTYPE=sys_wwid\n' } }, 'NetworkManager': { 'system-connections': { 'eth0.nmconnection': `[connection]\nid=eth0\ninterface-name=eth0\n\n[ethernet]\nmac-address=${MAC.toUpperCase()}\n\n[ipv4]\nmethod=auto\n` } },
    },
    var: { tmp: {} },
  },
}

export const SUSE_11: RecordedSystem = {
  os: { id: 'sles', versionId: '11.4', name: 'SUSE Linux Enterprise Server 11 SP4' }, loader: 'grub-legacy', firmware: 'bios', kernel: '3.0.101-63-default', rootType: 'ext4', drivers: ALL,
  tree: {
    boot: {
      'vmlinuz-3.0.101-63-default': 'kernel', 'initrd-3.0.101-63-default': 'old',
      'grub': { 'stage1': '1', 'stage2': '2', 'device.map': '(hd0)\t/dev/disk/by-id/cciss-1\n', 'menu.lst': 'default 0\ntimeout 8\ngfxmenu (hd0,0)/message\ntitle SUSE Linux Enterprise Server 11\n    root (hd1,0)\n    kernel /vmlinuz-3.0.101-63-default root=/dev/disk/by-id/cciss-1-part2 resume=/dev/disk/by-id/cciss-1-part3 splash=silent\n    initrd /initrd-3.0.101-63-default\n' },
    },
    lib: { ...modules('3.0.101-63-default', ALL), udev: { 'rules.d': {} } }, sbin: { mkinitrd: '', grub: '' },
    etc: {
      'SuSE-release': 'SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n',
      'fstab': '/dev/disk/by-id/cciss-1-part2 / ext3 acl,user_xattr 1 1\n/dev/disk/by-id/cciss-1-part1 /boot ext3 acl 1 2\n/dev/disk/by-id/cciss-1-part9 swap swap defaults 0 0\n',
      'sysconfig': { kernel: '# comment\nINITRD_MODULES="hpsa processor thermal fan jbd ext3"\nDOMU_INITRD_MODULES="xennet"\n', bootloader: 'LOADER_TYPE="grub"\nDEFAULT_APPEND="resume=/dev/disk/by-id/cciss-1-part3 splash=silent"\n', network: { 'ifcfg-eth0': 'BOOTPROTO=\'static\'\nIPADDR=\'192.0.2.10/24\'\nSTARTMODE=\'auto\'\n' } },
      'init.d': { 'rc3.d': {}, 'rc5.d': {} },
    },
    var: { tmp: {} },
  },
}

export const SUSE_15: RecordedSystem = {
  os: { id: 'sles', versionId: '15.5', name: 'SUSE Linux Enterprise Server 15 SP5' }, loader: 'grub2', firmware: 'bios', kernel: '5.14.21-150500-default', rootType: 'xfs', drivers: ALL,
  tree: {
    boot: {
      'vmlinuz-5.14.21-150500-default': 'kernel', 'initrd-5.14.21-150500-default': 'old',
      'grub2': { 'grub.cfg': `menuentry 'SLES 15-SP5' {\n search --no-floppy --fs-uuid --set=root 00000000-0000-4000-8000-000000000099\n linux /vmlinuz-5.14.21-150500-default root=/dev/disk/by-id/ata-old-part2 ${OLD_STORAGE}\n initrd /initrd-5.14.21-150500-default\n}\n`, 'i386-pc': {} },
    },
    usr: { bin: { lsinitrd: '', dracut: ' --no-hostonly)\n' }, share: { grub2: { 'i386-pc': {} } }, sbin: { 'grub2-mkconfig': '' }, lib: SYSTEMD },
    lib: modules('5.14.21-150500-default', ALL),
    etc: {
      'fstab': FSTAB.replace('ext4', 'xfs'), 'machine-id': '\n', 'default': { grub: `GRUB_CMDLINE_LINUX_DEFAULT="splash=silent resume=/dev/disk/by-id/ata-old-part3 mitigations=auto"\nGRUB_DISABLE_LINUX_UUID="true"\n`, grub_installdevice: '/dev/disk/by-id/ata-old\n/dev/disk/by-id/ata-older\nactivate\ngeneric_mbr\n' },
      'sysconfig': { network: { 'ifcfg-eth0': 'BOOTPROTO=\'dhcp\'\nSTARTMODE=\'auto\'\n', 'config': 'NETCONFIG_DNS_STATIC_SERVERS=""\n' } }, 'udev': { 'rules.d': { '70-persistent-net.rules': `SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="${MAC}", NAME="eth0"\n` } }, 'dracut.conf.d': {},
    },
    var: { tmp: {} },
  },
}
