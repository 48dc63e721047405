/** Two sources that are clones of each other are replicated by one appliance at once: every identifier is there twice, and right on both replicas. */
import { execFileSync } from 'node:child_process'
import { readdirSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import type { PlannedDisk, PlannedVolume } from '../../../src/domain/replica.ts'
import type { FileSystem } from '../../../src/domain/volume.ts'
import { mountAt } from '../../../src/posix/mount-table.ts'
import { mountDevice, unmount } from '../../../src/posix/mounting.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { mountBtrfs } from '../../../src/storage/mount-btrfs.ts'
import { partitionDevice, type MountedVolume } from '../../../src/storage/volume-stack.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { ext4, MIB, swap, volume, xfs } from '../../unit/replica/workloads.ts'

const runner = new ExecaRunner()
const signal = AbortSignal.timeout(240_000)
const SIZES = { '/': 160, '/data': 320, '/srv': 256, '/srv/www': 256 } as const
const BTRFS: FileSystem = {
  type: 'btrfs', typeName: 'btrfs', uuid: 'c10e0000-0000-4000-8000-000000000003', label: 'clone', blockSizeBytes: 4096, usedBytes: 0, features: ['mixed-backref', 'extended-iref', 'skinny-metadata', 'no-holes'],
  inodeSizeBytes: 0, properties: { nodesize: '16384', sectorsize: '4096', checksum: 'crc32c', data: 'single', metadata: 'DUP' },
  subvolumes: [{ path: '@', default: true, noCow: false }, { path: '@/www', default: false, noCow: false }],
}
const DISK: PlannedDisk = {
  sourceDisk: 'vda', path: '[store] clone/disk0.vmdk', sizeBytes: 840 * MIB, format: 'thin', table: 'gpt', tableId: 'C10E0000-0000-4000-8000-0000000000AA',
  partitions: [SIZES['/'], SIZES['/data'], SIZES['/srv'], 64].map((size, i, all) => ({
    number: i + 1, startBytes: (1 + all.slice(0, i).reduce((sum, n) => sum + n, 0)) * MIB, sizeBytes: size * MIB, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', uuid: `C10E0000-0000-4000-8000-00000000000${String(i + 1)}`, name: '', bootable: false,
  })),
}
const planned = (index: number, partition: number, mountPoint: keyof typeof SIZES, fileSystem: FileSystem, subvolume?: string): PlannedVolume => ({
  index, disk: 0, partition, volume: { ...volume('vda', partition, mountPoint, fileSystem, SIZES[mountPoint] * MIB), ...(subvolume === undefined ? {} : { subvolume }) },
})
const VOLUMES: readonly PlannedVolume[] = [
  planned(0, 1, '/', ext4('c10e0000-0000-4000-8000-000000000001', SIZES['/'] * MIB, 'root')), planned(1, 2, '/data', xfs('c10e0000-0000-4000-8000-000000000002', SIZES['/data'] * MIB)),
  planned(2, 3, '/srv', BTRFS, '@'), planned(3, 3, '/srv/www', BTRFS, '@/www'),
  { index: -1, disk: 0, partition: 4, volume: volume('vda', 4, undefined, swap('c10e0000-0000-4000-8000-000000000004'), 64 * MIB) },
]
const JOBS = ['clone-a', 'clone-b'] as const
const fileOf = (m: MountedVolume): string => join(m.mountPoint, 'own')
const identity = (device: string): string => execFileSync('blkid', ['-p', '-o', 'export', device], { encoding: 'utf8' }).split('\n').filter(line => /^(?:TYPE|UUID|LABEL|PART_ENTRY_UUID)=/.test(line)).join(' ')

t.test('clones are made, written and handed over side by side, also after a restart of the appliance in between', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([DISK.sizeBytes, DISK.sizeBytes])
  const open = (): LinuxVolumeStack => new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state'), devicesBySerial: join(disks.directory, 'by-serial') })
  const build = async (i: number): Promise<readonly MountedVolume[]> => {
    await using stack = open()
    const device = await stack.deviceOf(disks.diskUuids[i] ?? '', signal)
    await stack.partition(device, DISK, signal)
    const placed = VOLUMES.map(v => ({ volume: v, device: partitionDevice(device, v.partition) }))
    for (const p of placed) await stack.format(p.device, p.volume, signal)
    const mounted = await stack.mount(JOBS[i] ?? '', placed, signal)
    await stack.mark(mounted, signal)
    return mounted
  }
  const both = [await build(0), await build(1)]
  for (const [i, mounted] of both.entries()) for (const m of mounted) writeFileSync(fileOf(m), `${String(JOBS[i])} ${m.volume.volume.name}`)
  t.same([await build(0), await build(1)], both, 'an appliance that was started again finds them mounted')
  await using stack = open()
  await stack.release(JOBS[0], [disks.devices[0] ?? ''], signal, { check: false })
  const again = [await build(0), await build(1)]
  for (const [i, mounted] of again.entries()) {
    for (const m of mounted) t.equal(readFileSync(fileOf(m), 'utf8'), `${String(JOBS[i])} ${m.volume.volume.name}`, 'the file of its own job')
    await stack.assemble(JOBS[i] ?? '', mounted, [], signal, { plainDev: i === 1 })
    const root = mounted.find(m => m.volume.volume.mountPoint === '/')?.mountPoint ?? ''
    t.equal(statSync(join(root, 'tmp')).mode & 0o7777, 0o1777, 'a directory that was missing has its mode, whatever the umask')
    t.same(readdirSync(join(root, 'dev')), i === 1 ? ['console', 'null'] : [], 'device nodes of its own where it needs them')
    if (i === 1) for (const [name, number, mode] of [['console', 0x501, 0o600], ['null', 0x103, 0o666]] as const) t.match(statSync(join(root, 'dev', name)), { rdev: number, mode: 0o020_000 | mode })
  }
  for (const [i, mounted] of again.entries()) {
    await stack.unmark(mounted, signal)
    await stack.release(JOBS[i] ?? '', [disks.devices[i] ?? ''], signal) // checks the file systems
  }
  const shown: string[][] = []
  for (const device of disks.devices) {
    await stack.partition(device, DISK, signal) // the kernel shows them again
    shown.push(DISK.partitions.map(p => identity(partitionDevice(device, p.number))))
  }
  t.same(shown[0], shown[1])
  for (const v of VOLUMES) t.match(shown[0]?.[v.partition - 1], `UUID=${v.volume.fileSystem.uuid} TYPE=${v.volume.fileSystem.type} `)
})

t.test('a kernel that takes each btrfs once is told of by name', async t => {
  const refusing = (errno: string) => async (): Promise<void> => { throw new AppError('MOUNT_FAILED', `cannot mount /dev/sdb1 as btrfs at /p: ${errno}`) }
  await t.rejects(mountBtrfs('/dev/sdb1', '/p', ['rw'], refusing('EEXIST')), { code: 'VOLUME_LAYOUT', message: /older than 6[.]7/ })
  await t.rejects(mountBtrfs('/dev/sdb1', '/p', ['rw'], refusing('EINVAL')), { code: 'MOUNT_FAILED' })
})

t.test('a btrfs that shows another one, as an older kernel may mount it when that one was looked at in between, is not used and not left mounted', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([160 * MIB, 160 * MIB])
  const [asked = '', other = ''] = disks.devices
  for (const device of disks.devices) execFileSync('mkfs.btrfs', ['-q', device])
  const place = join(disks.directory, 'place')
  mkdirSync(place)
  await t.rejects(mountBtrfs(asked, place, ['rw'], async (_device, ...rest) => { await mountDevice(other, ...rest) }), { code: 'VOLUME_LAYOUT', message: /older than 6[.]7/ })
  t.equal(await mountAt(place), undefined)
  await mountBtrfs(asked, place, ['rw'])
  t.match(await mountAt(place), { type: 'btrfs' })
  await unmount(place)
})
