import t, { type Test } from 'tap'
import { CHECK_DEVICE_NAMES, CHECK_OTHER_NAMES, scanReferences } from '../../../src/replica/check-references.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import type { AssembledReplica } from '../../../src/replica/fix-up.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const plan = planReplica({ jobId: 'j', workload, options: options(), places: places() })
const ROOT = 'dd000000-0000-4000-8000-000000000002'
const GONE = '00000000-0000-4000-8000-000000000099'

async function replicaOf(t: Test, tree: NonNullable<Parameters<Test['testdir']>[0]>): Promise<AssembledReplica> {
  const files = await ReplicaFiles.open(t.testdir(tree))
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  return { plan, workload, options: options(), files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') } }
}

t.test('what resolves, or is no local device, is not found', async t => {
  const replica = await replicaOf(t, {
    etc: {
      'fstab': `# /dev/vdz1 old\nUUID=${ROOT} / ext4 defaults 0 1\nLABEL=root /x ext4 noauto 0 0\nnas:/x /y nfs defaults 0 0\n/srv/a /b none bind 0 0\n/dev/sr0 /media/cdrom udf noauto 0 0\n/swapfile none swap sw 0 0\n`, 'default': { grub: 'GRUB_CMDLINE_LINUX="quiet resume=UUID=dd000000-0000-4000-8000-000000000003"\n' },
      'network': { interfaces: 'auto lo ens3 bond0 ens3.5\niface bond0 inet dhcp\niface ens3.5 inet dhcp\n' }, 'mdadm': { 'mdadm.conf': 'DEVICE partitions\n# ARRAY /dev/md0\n' }, 'lvm': { 'lvm.conf': 'filter = [ "a|.*|" ]\n# filter = [ "a|/dev/cciss|" ]\n' },
    },
    boot: { grub: { 'grub.cfg': `menuentry 'x' {\nsearch --no-floppy --fs-uuid --set=root ${ROOT}\nlinux /vmlinuz root=UUID=${ROOT} ro $extra\n}\n`, 'device.map': '(hd0)\t/dev/sda\n' } },
  })
  t.same(await scanReferences(replica), [])
  t.same(await CHECK_DEVICE_NAMES.fix(replica, AbortSignal.timeout(1000)), [])
})

t.test('every name of the old hardware is found with file and line', async t => {
  const replica = await replicaOf(t, {
    etc: {
      'fstab': `UUID=${ROOT} / ext4 defaults 0 1\n/dev/vda1 /boot ext4 defaults 0 2\nUUID=${GONE} /d xfs nofail 0 2\n`, 'crypttab': `home UUID=${GONE} none luks\n`, 'default': { grub: `A=1\nGRUB_CMDLINE_LINUX="rd.lvm.lv=vg/root resume=/dev/vda5"\n` }, 'kernel': { cmdline: 'root=/dev/mapper/vg-root ro\n' },
      'lvm': { 'lvm.conf': 'devices {\nglobal_filter = [ "a|/dev/cciss/c0d0p2|", "r|.*|" ]\n', 'devices': { 'system.devices': 'x\nIDTYPE=sys_wwid DEVNAME=/dev/vda3 PVID=1\n' } }, 'mdadm.conf': 'ARRAY /dev/md0 UUID=1:2\n', 'multipath': { bindings: '# x\nmpatha 3600\n' },
      'initramfs-tools': { 'conf.d': { resume: `RESUME=UUID=${GONE}\n` } }, 'sysconfig': { 'network-scripts': { 'ifcfg-eth0': 'DEVICE=eth0\nHWADDR=52:54:00:12:34:56\n' } }, 'netplan': { 'a.yaml': 'network:\n  ethernets:\n    a:\n      match: {}\n      macaddress: "52:54:00:12:34:57"\n' },
      'NetworkManager': { 'system-connections': { x: '[ethernet]\nmac-address=52:54:00:12:34:56\n' } }, 'systemd': { network: { '1.link': '[Match]\nMACAddress=52:54:00:12:34:56\n' } }, 'udev': { 'rules.d': { '70-persistent-net.rules': 'ATTR{address}=="52:54:00:12:34:56", NAME="eth0"\n' } }, 'network': { interfaces: 'auto eth7\n' },
    },
    boot: {
      'grub': { 'grub.cfg': `set kernelopts="root=UUID=${ROOT} rd.multipath=default "\nlinux /vmlinuz root=UUID=${GONE} rd.md.uuid=1:2 quiet\n`, 'device.map': '(hd0) /dev/vda\n', 'menu.lst': 'title x\nroot (hd1,0)\nkernel /vmlinuz root=/dev/sda9\n' }, 'grub2': { 'grub.cfg': `search --fs-uuid --set=root ${GONE}\n`, 'grubenv': 'kernelopts=root=/dev/vda2 ro\n' },
      'loader': { entries: { 'a.conf': 'linux /vmlinuz\noptions root=/dev/vda2 ro\n' } }, 'efi': { EFI: { debian: { 'grub.cfg': 'search.fs_uuid 1234-ABCD root\n' }, redhat: { grubenv: 'kernelopts=root=/dev/vda2 rd.luks.uuid=luks-00000000-0000-4000-8000-000000000099 \n' } } },
    },
  })
  const found = await scanReferences(replica)
  t.same(found.map(f => `${f.critical ? '!' : ' '} ${f.path}:${String(f.line)}: ${f.name}`), [
    '! /etc/fstab:2: /dev/vda1', `  /etc/fstab:3: UUID=${GONE}`, `! /etc/crypttab:1: UUID=${GONE}`, '! /etc/default/grub:2: rd.lvm.lv=vg/root', '  /etc/default/grub:2: /dev/vda5', '! /boot/grub2/grubenv:1: /dev/vda2', '! /boot/efi/EFI/redhat/grubenv:1: /dev/vda2', `! /boot/efi/EFI/redhat/grubenv:1: rd.luks.uuid=luks-${GONE}`, '! /boot/loader/entries/a.conf:2: /dev/vda2',
    '! /etc/kernel/cmdline:1: /dev/mapper/vg-root', '! /boot/grub/grub.cfg:1: rd.multipath=default', `! /boot/grub/grub.cfg:2: UUID=${GONE}`, '! /boot/grub/grub.cfg:2: rd.md.uuid=1:2', `! /boot/grub2/grub.cfg:1: UUID=${GONE}`, '! /boot/efi/EFI/debian/grub.cfg:1: UUID=1234-ABCD', '! /boot/grub/menu.lst:3: /dev/sda9', '! /boot/grub/menu.lst:2: (hd1,0)',
    '  /boot/grub/device.map:1: /dev/vda', '  /etc/mdadm.conf:1: /dev/md0', '! /etc/lvm/lvm.conf:2: /dev/cciss/c0d0p2', '! /etc/lvm/devices/system.devices:2: /dev/vda3', '  /etc/multipath/bindings:2: mpatha', `  /etc/initramfs-tools/conf.d/resume:1: UUID=${GONE}`,
    '  /etc/sysconfig/network-scripts/ifcfg-eth0:2: 52:54:00:12:34:56', '  /etc/NetworkManager/system-connections/x:2: 52:54:00:12:34:56', '  /etc/netplan/a.yaml:5: 52:54:00:12:34:57', '  /etc/systemd/network/1.link:2: 52:54:00:12:34:56', '  /etc/udev/rules.d/70-persistent-net.rules:1: 52:54:00:12:34:56',
    '  /etc/network/interfaces:1: eth7',
  ])
  await t.rejects(CHECK_DEVICE_NAMES.fix(replica, AbortSignal.timeout(1000)), { code: 'BOOT_FIXUP_FAILED', message: /\/etc\/fstab:2: \/dev\/vda1/ })
  await t.rejects(CHECK_OTHER_NAMES.fix(replica, AbortSignal.timeout(1000)), { code: 'BOOT_FIXUP_FAILED', message: /device\.map:1/ })
})

t.test('logical volumes and LUKS containers that the replica has resolve', async t => {
  const encryption = { name: 'luks-home', type: 'LUKS2', uuid: GONE, label: '', cipher: 'aes-xts-plain64', keyBits: 512, headerBytes: 16 << 20, keyDerivation: 'argon2id' as const }
  const root = { name: 'root', uuid: 'r', temporaryUuid: 's', extents: 1, tags: [], segments: [] }
  const kept = {
    ...plan, volumeGroups: [{ name: 'vg-a', temporaryName: 't', uuid: 'v', temporaryUuid: 'w', extentSizeBytes: 4 << 20, tags: [], physicalVolumes: [], logicalVolumes: [root] }],
    volumes: plan.volumes.map(v => ({ ...v, encryption })),
  }
  const replica = await replicaOf(t, { etc: { fstab: '/dev/vg-a/root / ext4 defaults 0 1\n/dev/mapper/vg--a-root /x ext4 defaults 0 1\n/dev/mapper/luks-home /home ext4 defaults 0 2\n', crypttab: `luks-home UUID=${GONE} none luks\n`, kernel: { cmdline: 'root=/dev/mapper/vg--a-root rd.lvm.lv=vg-a/root\n' } } })
  t.same(await scanReferences({ ...replica, plan: kept }), [])
  const withKey = await replicaOf(t, { etc: { fstab: '', crypttab: `luks-home UUID=${GONE} /etc/home.key luks\n` } })
  t.match(await scanReferences({ ...withKey, plan: kept }), [{ path: '/etc/crypttab', line: 1, name: '/etc/home.key', critical: true }], 'the key of the source opens nothing')
})
