/** Discovery of a source that is mounted from real loop disks, compared with what the tools were told when they made it. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { Workload } from '../../../src/domain/workload.ts'
import { discoverWorkload } from '../../../src/workload/discover.ts'

const tool = (name: string, args: readonly string[], input = ''): string =>
  execFileSync(name, args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'ignore'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } }).trim()

const MIB = 2 ** 20
const ROOT_UUID = '11111111-2222-4333-8444-555555555555'
const SWAP_UUID = '22222222-3333-4444-8555-666666666666'
const DATA_UUID = randomUUID() // the kernel mounts no two XFS with the same

interface Made { device: string, name: string }

/** A disk with this table, attached, its partitions there; detached when the test ends, whatever happens. */
function makeDisk(t: Test, directory: string, file: string, sizeBytes: number, table: string): Made {
  const image = join(directory, file)
  writeFileSync(image, '')
  truncateSync(image, sizeBytes)
  if (table !== '') tool('sfdisk', ['-q', image], table)
  const device = tool('losetup', ['-f', '--show', image])
  t.teardown(() => {
    if (table !== '') tool('partx', ['-d', device])
    tool('losetup', ['-d', device])
  })
  if (table !== '') tool('partx', ['-u', device])
  return { device, name: device.slice('/dev/'.length) }
}

function mount(t: Test, device: string, place: string): void {
  mkdirSync(place, { recursive: true })
  tool('mount', [device, place])
  t.teardown(() => { tool('umount', [place]) })
}

function workDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-discover-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

const discover = async (root: string): Promise<Workload> => Workload.parse(await discoverWorkload({ root, runner: new ExecaRunner(), signal: AbortSignal.timeout(60_000) }))
const skip = process.getuid?.() === 0 ? false : 'needs root'
if (skip !== false && process.env['REQUIRE_SYSTEM'] === '1') throw new Error('system tests need root')

t.test('a tree on an MBR disk with ext4, swap and XFS is described exactly', { skip }, async t => {
  const directory = workDirectory(t)
  const root = join(directory, 'root')
  const disk = makeDisk(t, directory, 'mbr.img', 700 * MIB, 'label: dos\nlabel-id: 0x1badcafe\nstart=2048, size=614400, type=83, bootable\nsize=131072, type=82\ntype=83\n')
  tool('mkfs.ext4', ['-q', '-U', ROOT_UUID, '-L', 'root fs', '-E', `hash_seed=${DATA_UUID}`, '-I', '128', '-m', '2', '-O', '^metadata_csum', '-e', 'remount-ro', `${disk.device}p1`])
  tool('mkswap', ['-U', SWAP_UUID, '-L', 'swap0', `${disk.device}p2`])
  tool('mkfs.xfs', ['-q', '-L', 'data', '-m', `uuid=${DATA_UUID},reflink=0`, '-d', 'agcount=2', `${disk.device}p3`])
  mount(t, `${disk.device}p1`, root)
  mount(t, `${disk.device}p3`, join(root, 'data dir'))
  mkdirSync(join(root, 'etc'))
  mkdirSync(join(root, 'boot/grub/i386-pc'), { recursive: true })
  mkdirSync(join(root, 'usr/lib/modules/6.1-test'), { recursive: true })
  symlinkSync('/usr/lib', join(root, 'lib'))
  writeFileSync(join(root, 'etc/hostname'), 'web1\n')
  writeFileSync(join(root, 'etc/machine-id'), `${'0a'.repeat(16)}\n`)
  writeFileSync(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n')
  writeFileSync(join(root, 'etc/fstab'), `UUID=${ROOT_UUID} / ext4 defaults 0 1\nUUID=${SWAP_UUID} none swap sw 0 0\nUUID=${SWAP_UUID.replace('2', '9')} /old ext4 defaults 0 2\n`)
  symlinkSync('/run/resolv.conf', join(root, 'etc/resolv.conf')) // missing in the source, whatever the host has
  writeFileSync(join(root, 'boot/vmlinuz-6.1-test'), '')
  writeFileSync(join(root, 'boot/grub/grub.cfg'), `menuentry x {\n linux /boot/vmlinuz-6.1-test root=UUID=${ROOT_UUID} ro\n}\n`)
  writeFileSync(join(root, 'usr/lib/modules/6.1-test/modules.dep'), 'kernel/a/vmw_pvscsi.ko:\nkernel/a/vmxnet3.ko:\n')
  tool('dd', [`of=${disk.device}`, 'bs=1', 'seek=384', 'conv=notrunc'], 'GRUB ')
  tool('sync', ['-f', root])

  const found = await discover(root)
  const partition = (number: number, startSector: number, sectors: number, type: string, bootable = false): Workload['disks'][number]['partitions'][number] =>
    ({ number, startBytes: startSector * 512, sizeBytes: sectors * 512, type, uuid: `1badcafe-0${String(number)}`, name: '', bootable })
  t.same(found.disks, [{
    name: disk.name, sizeBytes: 700 * MIB, sectorSizeBytes: 512, table: 'dos', tableId: '0x1badcafe',
    partitions: [partition(1, 2048, 614400, '83', true), partition(2, 616448, 131072, '82'), partition(3, 747520, 700 * 2048 - 747520, '83')],
  }])
  t.same(found.volumes.map(v => [v.name, v.mountPoint, v.device, v.disk, v.partition, v.sizeBytes, v.required, v.unsupportedReason]), [
    ['/', '/', `${disk.device}p1`, disk.name, 1, 614400 * 512, true, undefined],
    ['/data dir', '/data dir', `${disk.device}p3`, disk.name, 3, (700 * 2048 - 747520) * 512, false, undefined],
    [`swap-${SWAP_UUID}`, undefined, `${disk.device}p2`, disk.name, 2, 131072 * 512, false, undefined],
  ])
  const [ext, xfs, swap] = found.volumes.map(v => v.fileSystem)
  t.match(ext, { type: 'ext4', uuid: ROOT_UUID, label: 'root fs', inodeSizeBytes: 128, properties: { hashSeed: DATA_UUID, errorsBehavior: 'remount-ro' } })
  t.equal(ext?.properties['reservedBlockCount'], String(Math.floor(Number(ext?.properties['blockCount']) * 0.02)))
  t.notOk(ext?.features.includes('metadata_csum') === true || ext?.features.includes('needs_recovery') === true)
  t.match(xfs, { type: 'xfs', uuid: DATA_UUID, label: 'data', properties: { agcount: '2', log: 'internal' } })
  t.ok(xfs?.features.includes('reflink=0'))
  t.match(swap, { type: 'swap', uuid: SWAP_UUID, label: 'swap0', usedBytes: 0 })
  const used = Number(tool('df', ['--output=used', '-B1', root]).split('\n').at(-1))
  t.equal(ext?.usedBytes, used)
  t.match(found, { hostName: 'web1', machineId: '0a'.repeat(16), firmware: 'bios', os: { id: 'debian', versionId: '12' }, dns: { servers: [], search: [] } })
  t.same(found.boot, {
    loader: 'grub2', bootDisks: [disk.name], commandLine: `root=UUID=${ROOT_UUID} ro`, initramfsTool: 'unknown', tools: [],
    kernels: [{ version: '6.1-test', imagePath: '/boot/vmlinuz-6.1-test', drivers: ['vmw_pvscsi', 'vmxnet3'], running: false }],
  })
  t.same(found.findings.map(f => [f.code, f.subject]), [['FSTAB_DEVICE_MISSING', '/old']])
})

t.test('GPT, an ESP, a whole-disk file system, an unmounted and an unsupported one are told for what they are', { skip }, async t => {
  const directory = workDirectory(t)
  const root = join(directory, 'root')
  const gpt = makeDisk(t, directory, 'gpt.img', 600 * MIB, [
    'label: gpt', 'label-id: AAAAAAAA-1111-4222-8333-BBBBBBBBBBBB', 'size=64MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="EFI sys"',
    'size=64MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="root", attrs=LegacyBIOSBootable', 'size=64MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4', 'type=0FC63DAF-8483-4772-8E79-3D69D8477DE4', '',
  ].join('\n'))
  const whole = makeDisk(t, directory, 'whole.img', 64 * MIB, '')
  tool('mkfs.vfat', ['-n', 'ESP', `${gpt.device}p1`])
  for (const device of [`${gpt.device}p2`, `${gpt.device}p3`, whole.device]) tool('mkfs.ext4', ['-q', device])
  tool('mkfs.btrfs', ['-q', `${gpt.device}p4`])
  mount(t, `${gpt.device}p2`, root)
  mount(t, whole.device, join(root, 'whole'))
  mount(t, `${gpt.device}p4`, join(root, 'b'))

  const found = await discover(root)
  t.same(found.disks.map(d => [d.name, d.table, d.tableId, d.partitions.length]), [[gpt.name, 'gpt', 'AAAAAAAA-1111-4222-8333-BBBBBBBBBBBB', 4], [whole.name, 'none', '', 0]])
  t.match(found.disks[0]?.partitions[0], { type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', name: 'EFI sys', bootable: false })
  t.match(found.disks[0]?.partitions[1], { name: 'root', bootable: true })
  t.same(found.volumes.map(v => [v.name, v.disk, v.partition, v.fileSystem.type, v.unsupportedReason]), [
    ['/', gpt.name, 2, 'ext4', undefined], ['/b', gpt.name, 4, 'btrfs', undefined], ['/whole', whole.name, 0, 'ext4', undefined],
    [`${gpt.name}p1`, gpt.name, 1, 'vfat', 'it is not mounted: mount it if it is to be migrated'], [`${gpt.name}p3`, gpt.name, 3, 'ext4', 'it is not mounted: mount it if it is to be migrated'],
  ])
  t.equal(found.firmware, 'uefi', 'an ESP, and no boot code for BIOS')
})

t.test('the machine itself can be described', async t => {
  const found = await discover('/')
  t.ok(found.memoryBytes > 2 ** 27)
  t.not(found.os.architecture, '')
  t.notOk(found.disks.some(d => d.name.startsWith('loop')), 'an image file of a live server is no disk of its')
  t.notOk(found.adapters.some(a => a.name === 'lo'))
})
