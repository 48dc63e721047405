import { join } from 'node:path'
import { symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Disk } from '../../../src/domain/volume.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { discoverBoot } from '../../../src/workload/discover-boot.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

const GRUB_SECTOR = Buffer.concat([Buffer.alloc(384), Buffer.from('GRUB \0Geom\0Hard Disk'), Buffer.alloc(512)]).subarray(0, 512)
const disk = (name: string, type = '83'): Disk => ({
  name, sizeBytes: 1, sectorSizeBytes: 512, table: 'gpt', tableId: '', partitions: [{ number: 1, startBytes: 0, sizeBytes: 1, type, uuid: '', name: '', bootable: false }],
})
const ESP = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'

async function discover(dir: string, disks: readonly Disk[], live = false): Promise<Pick<Workload, 'firmware' | 'boot'> & { findings: Finding[] }> {
  const findings: Finding[] = []
  const report = (f: Finding): void => { findings.push(f) }
  const root = await SourceRoot.open(join(dir, 'root'), report)
  const kernel = { proc: join(dir, 'proc'), sys: join(dir, 'sys'), dev: join(dir, 'dev') }
  return { ...await discoverBoot({ root, live, kernel, disks, maps: new Set<string>(), report, signal: AbortSignal.timeout(10_000) }), findings }
}

t.test('a Debian with GRUB in the first sector of its second disk', async t => {
  const dir = t.testdir({
    dev: { sda: 'x'.repeat(600) },
    root: { boot: { 'vmlinuz-6.1': '', 'initrd.img-6.1': '', grub: { 'grub.cfg': 'linux /vmlinuz-6.1 root=/dev/sda1 ro\n' } }, usr: { sbin: { 'mkinitramfs': '', 'dracut': '', 'update-initramfs': '', 'grub-install': '' }, lib: { grub: { 'i386-pc': {} } } } },
  })
  writeFileSync(join(dir, 'dev/sdb'), GRUB_SECTOR)
  const { firmware, boot, findings } = await discover(dir, [disk('sda'), disk('sdb')])
  t.equal(firmware, 'bios')
  t.match(boot, { loader: 'grub2', bootDisks: ['sdb'], commandLine: 'root=/dev/sda1 ro', initramfsTool: 'initramfs-tools', tools: ['grub-install', 'grub-i386-pc', 'update-initramfs'], kernels: [{ version: '6.1', initramfsPath: '/boot/initrd.img-6.1' }] })
  t.same(findings, [])
})

t.test('a live source is asked: firmware, command line and running kernel come from its kernel', async t => {
  const dir = t.testdir({
    sys: { firmware: { efi: {} } }, proc: { cmdline: 'BOOT_IMAGE=/vmlinuz-6.1 root=UUID=1 quiet\n', sys: { kernel: { osrelease: '6.1\n' } } },
    dev: { sda: 'x'.repeat(600) }, root: { boot: { 'vmlinuz-6.1': '' }, usr: { bin: { dracut: '' } } },
  })
  const { firmware, boot } = await discover(dir, [disk('sda')], true)
  t.equal(firmware, 'uefi')
  t.match(boot, { loader: 'unknown', bootDisks: [], commandLine: 'BOOT_IMAGE=/vmlinuz-6.1 root=UUID=1 quiet', initramfsTool: 'dracut', kernels: [{ running: true }] })
})

t.test('a tree at rest is UEFI when it has an ESP and nothing for BIOS', async t => {
  const uefi = t.testdir({ dev: { sda: 'x'.repeat(600) }, root: { boot: { efi: { EFI: { debian: { 'grub.cfg': '' } } }, 'vmlinuz-6': '' } } })
  t.match(await discover(uefi, [disk('sda', ESP)]), { firmware: 'uefi', boot: { loader: 'grub2' } })
})

t.test('an ESP beside boot code for BIOS is a BIOS machine', async t => {
  const both = t.testdir({ dev: { sda: 'x'.repeat(600) }, root: { boot: { grub2: { 'grub.cfg': '', 'i386-pc': {} } } } })
  t.match(await discover(both, [disk('sda', ESP)]), { firmware: 'bios', boot: { loader: 'grub2' } })
})

t.test('the programs of an old system are found, where it has both stages of GRUB', async t => {
  const old = (grub: Record<string, string>) => ({ root: { boot: { grub: { 'menu.lst': '', ...grub } }, sbin: { mkinitrd: '', grub: '' } } })
  t.strictSame((await discover(t.testdir(old({ stage1: '', stage2: '' })), [])).boot.tools, ['grub', 'grub-stages', 'mkinitrd'])
  t.strictSame((await discover(t.testdir(old({ stage1: '' })), [])).boot.tools, ['grub', 'mkinitrd'])
})

t.test('other boot loaders are told apart', async t => {
  const cases = [[{ efi: { loader: { 'loader.conf': '' } } }, 'systemd-boot'], [{ grub: { 'menu.lst': '' } }, 'grub-legacy'], [{}, 'unknown']] as const
  for (const [boot, loader] of cases) t.match((await discover(t.testdir({ root: { boot } }), [])).boot, { loader })
})

t.test('no kernel, and a disk that cannot be read, are findings', async t => {
  const dir = t.testdir({ dev: {}, root: {} })
  const { findings, boot } = await discover(dir, [disk('sda')])
  t.same(findings.map(f => f.code), ['DISCOVERY_INCOMPLETE', 'KERNEL_MISSING'])
  t.same(boot.bootDisks, [])
})

t.test('a kernel name that leads out of the tree is only a name', async t => {
  const dir = t.testdir({ secret: '', root: { boot: {} } })
  symlinkSync('../../secret', join(dir, 'root/boot/vmlinuz-..'))
  t.match((await discover(dir, [])).boot.kernels, [{ version: '..', drivers: [] }])
})
