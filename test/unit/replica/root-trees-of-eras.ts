/** Root trees of the releases between those of root-trees.ts, where something is kept elsewhere than before and after them. */
import { ALL, BOOT_UUID, EFI, ESP_ID, FSTAB, IFCFG, MAC, modules, RED_HAT_6, RED_HAT_7, ROOT_UUID, SUSE_15, SWAP_UUID, SYSTEMD, type RecordedSystem } from './root-trees.ts'

const EL8 = '4.18.0-553.el8_10.x86_64'
/** Entries in files, their options in GRUB's environment. */
export const RED_HAT_8: RecordedSystem = {
  os: { id: 'rocky', versionId: '8.10', name: 'Rocky Linux 8.10 (Green Obsidian)' }, loader: 'grub2', firmware: 'bios', kernel: EL8, rootType: 'xfs', drivers: ALL,
  tree: {
    boot: {
      [`vmlinuz-${EL8}`]: 'kernel', [`initramfs-${EL8}.img`]: 'old',
      grub2: {
        'device.map': '(hd0) /dev/vda\n', 'i386-pc': {},
        'grub.cfg': `search --no-floppy --fs-uuid --set=root ${BOOT_UUID}\nif [ -z "\${kernelopts}" ]; then\n  set kernelopts="root=UUID=${ROOT_UUID} ro rd.md.uuid=1:2:3:4 "\nfi\ninsmod blscfg\nblscfg\n`,
        grubenv: `# GRUB Environment Block\nsaved_entry=0ab-${EL8}\nkernelopts=root=/dev/sda2 ro crashkernel=auto resume=/dev/sda3 rd.md.uuid=1:2:3:4 rhgb quiet\nboot_success=0\n`.padEnd(1024, '#'),
      },
      loader: { entries: { [`0ab-${EL8}.conf`]: `title Rocky Linux (${EL8})\nversion ${EL8}\nlinux /vmlinuz-${EL8}\ninitrd /initramfs-${EL8}.img $tuned_initrd\noptions $kernelopts $tuned_params\ngrub_users $grub_users\n` } },
    },
    usr: { bin: { lsinitrd: '', dracut: ' --no-hostonly)\n' }, lib: { grub: { 'i386-pc': { 'boot.img': '' } } }, sbin: { 'grub2-mkconfig': '' } }, lib: { ...modules(EL8, ALL), ...SYSTEMD },
    etc: {
      'fstab': FSTAB.replace('ext4', 'xfs'), 'machine-id': '\n', 'default': { grub: 'GRUB_ENABLE_BLSCFG=true\nGRUB_CMDLINE_LINUX="crashkernel=auto resume=/dev/sda3 rhgb quiet"\n' },
      'sysconfig': { 'network-scripts': { 'ifcfg-eth0': IFCFG } }, 'selinux': { config: 'SELINUX=enforcing\n' }, 'dracut.conf.d': {},
    },
    var: { tmp: {} },
  },
}

const EL10 = '6.12.0-55.el10_0.x86_64'
/** No ifcfg files, no network-scripts, the command line of new kernels in /etc/kernel. */
export const RED_HAT_10_UEFI: RecordedSystem = {
  os: { id: 'rhel', versionId: '10.0', name: 'Red Hat Enterprise Linux 10.0 (Coughlan)' }, loader: 'grub2', firmware: 'uefi', kernel: EL10, rootType: 'xfs', drivers: ALL.filter(d => d !== 'mptspi'),
  tree: {
    boot: {
      [`vmlinuz-${EL10}`]: 'kernel', [`initramfs-${EL10}.img`]: 'old', efi: { EFI },
      grub2: { 'grub.cfg': `search --no-floppy --fs-uuid --set=boot ${BOOT_UUID}\ninsmod blscfg\nblscfg\n`, 'grubenv': '# GRUB Environment Block\n'.padEnd(1024, '#') },
      loader: { entries: { [`0ab-${EL10}.conf`]: `title Red Hat Enterprise Linux (${EL10})\nversion ${EL10}\nlinux /vmlinuz-${EL10}\ninitrd /initramfs-${EL10}.img\noptions root=/dev/sda3 ro rd.lvm.lv=rhel/root resume=/dev/sda4\n` } },
    },
    usr: { bin: { lsinitrd: '', dracut: ' --no-hostonly)\n' }, sbin: {} }, lib: { ...modules(EL10, ALL), ...SYSTEMD },
    etc: {
      'fstab': `${FSTAB.replace('ext4', 'xfs')}UUID=${ESP_ID} /boot/efi vfat umask=0077 0 2\n`, 'machine-id': '\n', 'kernel': { cmdline: 'root=/dev/sda3 ro rd.lvm.lv=rhel/root\n' }, 'selinux': { config: 'SELINUX=enforcing\n' },
      'dracut.conf.d': {}, 'lvm': { devices: { 'system.devices': 'IDTYPE=sys_wwid\n' } },
      'NetworkManager': { 'system-connections': { 'eth0.nmconnection': `[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n\n[ethernet]\nmac-address=${MAC.toUpperCase()}\n\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nmethod=manual\n` } },
    },
    var: { tmp: {} },
  },
}

const SLES12 = '4.12.14-122.222-default'
/** The first with systemd, wicked, dracut and GRUB 2. */
export const SUSE_12: RecordedSystem = {
  os: { id: 'sles', versionId: '12.5', name: 'SUSE Linux Enterprise Server 12 SP5' }, loader: 'grub2', firmware: 'bios', kernel: SLES12, rootType: 'ext4', drivers: ALL,
  tree: {
    boot: {
      [`vmlinuz-${SLES12}`]: 'kernel', [`initrd-${SLES12}`]: 'old',
      grub2: { 'grub.cfg': `menuentry 'SLES 12-SP5' {\n search --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n linux /vmlinuz-${SLES12} root=/dev/disk/by-id/cciss-1-part2 resume=/dev/disk/by-id/cciss-1-part9 quiet\n initrd /initrd-${SLES12}\n}\n`, 'i386-pc': {} },
    },
    usr: { bin: { lsinitrd: '', dracut: ' --no-hostonly)\n' }, lib: { grub2: { 'i386-pc': {} }, ...SYSTEMD }, sbin: { 'grub2-mkconfig': '' } }, lib: modules(SLES12, ALL),
    etc: {
      'SuSE-release': 'SUSE Linux Enterprise Server 12 (x86_64)\nVERSION = 12\nPATCHLEVEL = 5\n', 'machine-id': '\n',
      'fstab': `UUID=${ROOT_UUID} / ext4 acl,user_xattr 1 1\nUUID=${BOOT_UUID} /boot ext4 acl 1 2\nUUID=${SWAP_UUID} swap swap defaults 0 0\n`,
      'default': { grub: 'GRUB_CMDLINE_LINUX_DEFAULT="resume=/dev/disk/by-id/cciss-1-part9 splash=silent quiet"\n', grub_installdevice: '/dev/disk/by-id/cciss-1\nactivate\n' },
      'sysconfig': { network: { 'ifcfg-eth0': 'BOOTPROTO=\'static\'\nIPADDR=\'192.0.2.10/24\'\nSTARTMODE=\'auto\'\n', 'ifcfg-bond0': 'BONDING_MASTER=\'yes\'\nBONDING_SLAVE0=\'eth0\'\n' } },
      'udev': { 'rules.d': { '70-persistent-net.rules': `SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${MAC}", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n` } }, 'dracut.conf.d': {},
    },
    var: { tmp: {} },
  },
}

const TRUSTY = '3.13.0-170-generic'
/** Upstart, ifupdown, udev's own rules for names. */
export const UBUNTU_14: RecordedSystem = {
  os: { id: 'ubuntu', versionId: '14.04', name: 'Ubuntu 14.04.6 LTS' }, loader: 'grub2', firmware: 'bios', kernel: TRUSTY, rootType: 'ext4', drivers: ALL,
  tree: {
    boot: {
      [`vmlinuz-${TRUSTY}`]: 'kernel', [`initrd.img-${TRUSTY}`]: 'old',
      grub: { 'device.map': '(hd0) /dev/vda\n', 'i386-pc': {}, 'grub.cfg': `menuentry 'Ubuntu' {\n\tsearch --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n\tlinux\t/vmlinuz-${TRUSTY} root=UUID=${ROOT_UUID} ro resume=/dev/sda3 quiet\n\tinitrd\t/initrd.img-${TRUSTY}\n}\n` },
    },
    usr: { bin: { lsinitramfs: '' }, lib: { grub: { 'i386-pc': { 'boot.img': '' } } }, sbin: { 'update-initramfs': '', 'grub-install': '', 'grub-mkconfig': '' } },
    lib: { ...modules(TRUSTY, ALL), udev: { 'rules.d': { '75-persistent-net-generator.rules': 'x' } } },
    etc: {
      'fstab': FSTAB, 'lsb-release': 'DISTRIB_RELEASE=14.04\n', 'init': { 'cloud-init.conf': 'start on x\n', 'rc.conf': '' }, 'cloud': { 'cloud.cfg.d': {} },
      'default': { grub: 'GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sda3"\n' }, 'initramfs-tools': { 'modules': '# list\n', 'initramfs.conf': 'MODULES=dep\n', 'conf.d': { resume: 'RESUME=/dev/sda3\n' } },
      'network': { interfaces: 'auto lo eth0\niface lo inet loopback\niface eth0 inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1\n' },
      'udev': { 'rules.d': { '70-persistent-net.rules': `# PCI device 0x1af4:0x1000 (virtio-pci)\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${MAC}", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n` } },
      'init.d': { README: '' }, 'rc2.d': {}, 'rc3.d': {}, 'rc4.d': {}, 'rc5.d': {},
    },
    var: { tmp: {}, lib: {} },
  },
}

const JAMMY = '5.15.0-113-generic'
/** netplan as cloud-init and the installer wrote it, with the address of the old adapter. */
export const UBUNTU_22_UEFI: RecordedSystem = {
  os: { id: 'ubuntu', versionId: '22.04', name: 'Ubuntu 22.04.4 LTS' }, loader: 'grub2', firmware: 'uefi', kernel: JAMMY, rootType: 'ext4', drivers: ALL,
  tree: {
    boot: {
      [`vmlinuz-${JAMMY}`]: 'kernel', [`initrd.img-${JAMMY}`]: 'old',
      efi: { EFI: { ubuntu: { 'shimx64.efi': 'shim', 'grubx64.efi': 'grub', 'mmx64.efi': 'mok', 'grub.cfg': `search.fs_uuid ${BOOT_UUID} root\nset prefix=($root)'/grub'\nconfigfile $prefix/grub.cfg\n` } } },
      grub: { 'grub.cfg': `menuentry 'Ubuntu' {\n\tsearch --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n\tlinux\t/vmlinuz-${JAMMY} root=UUID=${ROOT_UUID} ro\n\tinitrd\t/initrd.img-${JAMMY}\n}\n` },
    },
    usr: { bin: { lsinitramfs: '' }, sbin: { 'update-initramfs': '', 'grub-mkconfig': '' } }, lib: { ...modules(JAMMY, ALL), ...SYSTEMD },
    etc: {
      'fstab': `${FSTAB}UUID=${ESP_ID} /boot/efi vfat umask=0077 0 1\n`, 'machine-id': '\n', 'default': { grub: 'GRUB_CMDLINE_LINUX_DEFAULT=""\n' }, 'initramfs-tools': { modules: '', 'conf.d': {} },
      'netplan': { '50-cloud-init.yaml': `network:\n    version: 2\n    ethernets:\n        eth0:\n            match:\n                macaddress: ${MAC}\n            set-name: eth0\n            addresses: [192.0.2.10/24]\n` },
      'cloud': { 'cloud.cfg.d': { '99-installer.cfg': 'datasource_list: [None]\n' } },
    },
    var: { tmp: {}, lib: {} },
  },
}

/** The menu itself lies on the ESP. */
export const RED_HAT_7_UEFI: RecordedSystem = {
  ...RED_HAT_7, firmware: 'uefi',
  tree: {
    ...RED_HAT_7.tree,
    boot: {
      'vmlinuz-3.10.0-1160.el7.x86_64': 'kernel', 'initramfs-3.10.0-1160.el7.x86_64.img': 'old', 'grub2': {},
      'efi': { EFI: { redhat: {
        'shimx64.efi': 'shim', 'grubx64.efi': 'grub', 'mmx64.efi': 'mok', 'fbx64.efi': 'fallback',
        'grub.cfg': `menuentry 'Red Hat' {\n\tsearch --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n\tlinuxefi /vmlinuz-3.10.0-1160.el7.x86_64 root=/dev/sda3 ro rd.md.uuid=1:2:3:4 quiet\n\tinitrdefi /initramfs-3.10.0-1160.el7.x86_64.img\n}\n`,
      } } },
    },
    etc: { ...RED_HAT_7.tree['etc'] as object, fstab: `${FSTAB.replace('ext4', 'xfs')}UUID=${ESP_ID} /boot/efi vfat umask=0077 0 0\n` },
  },
}

/** GRUB legacy from the ESP. */
export const RED_HAT_6_UEFI: RecordedSystem = {
  ...RED_HAT_6, firmware: 'uefi',
  tree: {
    ...RED_HAT_6.tree,
    boot: {
      'vmlinuz-2.6.32-754.el6.x86_64': 'kernel', 'initramfs-2.6.32-754.el6.x86_64.img': 'old',
      'efi': { EFI: { redhat: { 'grub.efi': 'grub', 'grub.conf': 'default=0\ntitle CentOS (2.6.32-754.el6.x86_64)\n\troot (hd0,1)\n\tkernel /vmlinuz-2.6.32-754.el6.x86_64 ro root=/dev/sda3 rd_NO_LUKS quiet\n\tinitrd /initramfs-2.6.32-754.el6.x86_64.img\n' } } },
    },
    etc: { ...RED_HAT_6.tree['etc'] as object, fstab: `${FSTAB}UUID=${ESP_ID} /boot/efi vfat umask=0077 0 0\n` },
  },
}

export const SUSE_15_UEFI: RecordedSystem = {
  ...SUSE_15, firmware: 'uefi',
  tree: {
    ...SUSE_15.tree,
    boot: {
      'vmlinuz-5.14.21-150500-default': 'kernel', 'initrd-5.14.21-150500-default': 'old',
      'grub2': { 'grub.cfg': `menuentry 'SLES 15-SP5' {\n search --no-floppy --fs-uuid --set=root ${BOOT_UUID}\n linux /vmlinuz-5.14.21-150500-default root=UUID=${ROOT_UUID} resume=/dev/disk/by-id/ata-old-part4 quiet\n initrd /initrd-5.14.21-150500-default\n}\n` },
      'efi': { EFI: { sles: { 'shim.efi': 'shim', 'grub.efi': 'grub', 'MokManager.efi': 'mok', 'grub.cfg': `search --fs-uuid --set=root ${BOOT_UUID}\nset prefix=(\${root})/grub2\nsource "\${prefix}/grub.cfg"\n` } } },
    },
    etc: { ...SUSE_15.tree['etc'] as object, fstab: `${FSTAB.replace('ext4', 'xfs')}UUID=${ESP_ID} /boot/efi vfat utf8 0 2\n` },
  },
}
