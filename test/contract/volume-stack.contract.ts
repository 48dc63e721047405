/** What every VolumeStack promises. `open` gives a stack with blank disks in it, the first of 768 MiB, the second of 384 MiB. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { PlannedDisk, PlannedVolume } from '../../src/domain/replica.ts'
import type { FileSystem } from '../../src/domain/volume.ts'
import { partitionDevice, type MountedVolume, type VolumeStack } from '../../src/storage/volume-stack.ts'

export interface OpenVolumeStack extends AsyncDisposable {
  stack: VolumeStack
  diskUuids: readonly [string, string]
  /** puts bytes on the device that no plan knows */
  scribble(device: string): Promise<void>
}

const MIB = 1 << 20
const EXT_FEATURES = 'has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file dir_nlink extra_isize metadata_csum'.split(' ')

function fileSystem(type: 'ext4' | 'xfs' | 'swap', uuid: string, label: string, sizeBytes: number): FileSystem {
  const common = { type, typeName: type, uuid, label, usedBytes: 0 }
  if (type === 'swap') return { ...common, blockSizeBytes: 0, features: [], inodeSizeBytes: 0, properties: { pageSizeBytes: '4096', version: '1' } }
  if (type === 'xfs') {
    return {
      ...common, blockSizeBytes: 4096, inodeSizeBytes: 512,
      features: ['crc=1', 'finobt=1', 'sparse=1', 'rmapbt=0', 'reflink=0', 'bigtime=0', 'inobtcount=0', 'nrext64=0', 'attr=2', 'projid32bit=1', 'ftype=1', 'ascii-ci=0', 'lazy-count=1'],
      properties: { agcount: '4', agsize: String(sizeBytes / 4096 / 4), blocks: String(sizeBytes / 4096), sectsz: '512', imaxpct: '25', 'naming-version': '2', 'naming-bsize': '4096', log: 'internal', 'log-blocks': '16384', 'log-version': '2', rtextents: '0' },
    }
  }
  return {
    ...common, blockSizeBytes: 4096, inodeSizeBytes: 256, features: EXT_FEATURES,
    properties: {
      inodeCount: '32768', blockCount: String(sizeBytes / 4096), reservedBlockCount: '1000', blocksPerGroup: '32768', flexBlockGroupSize: '16', hashSeed: '5f2f3b14-1111-4222-8333-444444444444',
      directoryHash: 'half_md4', defaultMountOptions: 'user_xattr acl', journalSizeBytes: String(8 * MIB), errorsBehavior: 'remount-ro', maximumMountCount: '-1', checkIntervalSeconds: '0', state: 'clean',
    },
  }
}

/** The first disk: GPT with a BIOS boot partition, root, /srv/data inside it and swap. */
export const SYSTEM_DISK: PlannedDisk = {
  sourceDisk: 'vda', path: '[store] landfall-contract/disk0.vmdk', sizeBytes: 768 * MIB, format: 'thin', table: 'gpt', tableId: '6E0FA4B2-0000-4000-8000-0000000000AA',
  partitions: [
    { number: 1, startBytes: MIB, sizeBytes: MIB, type: '21686148-6449-6E6F-744E-656564454649', uuid: '6E0FA4B2-0000-4000-8000-000000000001', name: 'a "b", c', bootable: false },
    { number: 3, startBytes: 2 * MIB, sizeBytes: 320 * MIB, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4', uuid: '6E0FA4B2-0000-4000-8000-000000000003', name: '', bootable: true, attributes: 'LegacyBIOSBootable' },
    { number: 4, startBytes: 322 * MIB, sizeBytes: 64 * MIB, type: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F', uuid: '6E0FA4B2-0000-4000-8000-000000000004', name: 'swap', bootable: false },
  ],
}
/** The second disk: MBR with a logical partition. */
export const DATA_DISK: PlannedDisk = {
  sourceDisk: 'vdb', path: '[store] landfall-contract/disk1.vmdk', sizeBytes: 384 * MIB, format: 'thin', table: 'dos', tableId: '0x1badb002',
  partitions: [
    { number: 1, startBytes: MIB, sizeBytes: 380 * MIB, type: '05', uuid: '1badb002-01', name: '', bootable: false },
    { number: 5, startBytes: 2 * MIB, sizeBytes: 320 * MIB, type: '83', uuid: '1badb002-05', name: '', bootable: false },
    { number: 6, startBytes: 323 * MIB, sizeBytes: 50 * MIB, type: '83', uuid: '1badb002-06', name: '', bootable: false },
  ],
}

function planned(index: number, disk: number, partition: number, mountPoint: string | undefined, fs: FileSystem, sizeBytes: number): PlannedVolume {
  return {
    index, disk, partition, volume: {
      name: mountPoint ?? `swap-${fs.uuid}`, device: `/dev/vd${'ab'.charAt(disk)}${String(partition)}`, ...(mountPoint === undefined ? {} : { mountPoint }), mountOptions: 'rw',
      sizeBytes, fileSystem: fs, disk: `vd${'ab'.charAt(disk)}`, partition, required: mountPoint === '/',
    },
  }
}

export const ROOT = planned(0, 0, 3, '/', fileSystem('ext4', '0a0a0a0a-0000-4000-8000-000000000001', 'root', 320 * MIB), 320 * MIB)
export const DATA = planned(1, 1, 5, '/srv/data', fileSystem('xfs', '0a0a0a0a-0000-4000-8000-000000000002', 'data', 320 * MIB), 320 * MIB)
export const SWAP = planned(-1, 0, 4, undefined, fileSystem('swap', '0a0a0a0a-0000-4000-8000-000000000003', 'paging', 64 * MIB), 64 * MIB)

const JOB = 'contract-job'
const signal = (): AbortSignal => AbortSignal.timeout(120_000)

/** Runs the whole VolumeStack contract against what `open` returns. */
export function volumeStackContract(name: string, open: () => Promise<OpenVolumeStack>, skip: string | false = false): void {
  t.test(`VolumeStack contract: ${name}`, { skip }, async t => {
    t.test('disks become mounted volumes, and every step may be repeated', async t => {
      await using opened = await open()
      const { mounted, disks } = await build(opened)
      t.same(mounted.map(m => m.volume.index), [0, 1], 'swap is made, not mounted')
      for (const m of mounted) await writeFile(join(m.mountPoint, 'kept'), m.volume.volume.name)
      const again = await build(opened)
      t.same(again, { mounted, disks })
      for (const m of again.mounted) t.equal(await readFile(join(m.mountPoint, 'kept'), 'utf8'), m.volume.volume.name)
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('what was written is there after release and another mount', async t => {
      await using opened = await open()
      const first = await build(opened)
      await writeFile(join(mountPointOf(first.mounted, '/srv/data'), 'kept'), 'x')
      await opened.stack.release(JOB, first.disks, signal())
      const second = await build(opened)
      t.equal(await readFile(join(mountPointOf(second.mounted, '/srv/data'), 'kept'), 'utf8'), 'x')
      await opened.stack.release(JOB, second.disks, signal())
    })

    t.test('volumes lie side by side: a file below the mount point of another volume does not get into that volume', async t => {
      await using opened = await open()
      const { mounted, disks } = await build(opened)
      const root = mountPointOf(mounted, '/')
      await mkdir(join(root, 'srv/data'), { recursive: true })
      await writeFile(join(root, 'srv/data/below'), 'hidden')
      await t.rejects(readFile(join(mountPointOf(mounted, '/srv/data'), 'below')), { code: 'ENOENT' })
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('a marked volume is known again, by its own job only, until the mark is taken away', async t => {
      await using opened = await open()
      const { stack } = opened
      const { mounted, disks } = await build(opened)
      t.same(mounted.map(m => m.volumeId), [`${JOB}/0`, `${JOB}/1`])
      await stack.mark(mounted, signal())
      await stack.mark(mounted, signal())
      await stack.release(JOB, disks, signal())
      await t.rejects(stack.mark(mounted, signal()), { code: 'REPLICA_ROOT_FOREIGN' }, 'nothing is mounted there')
      const again = await build(opened)
      await stack.mark(again.mounted, signal())
      const others = again.mounted.map(m => ({ ...m, volumeId: `other-${m.volumeId}` }))
      await t.rejects(stack.mark(others, signal()), { code: 'REPLICA_ROOT_FOREIGN' })
      await t.rejects(stack.unmark(others, signal()), { code: 'REPLICA_ROOT_FOREIGN' })
      await t.rejects(stack.mark([...again.mounted.slice(0, 1), ...others.slice(1)], signal()), { code: 'REPLICA_ROOT_FOREIGN' })
      await stack.unmark(again.mounted, signal())
      await stack.unmark(again.mounted, signal())
      await stack.mark(others, signal())
      await stack.release(JOB, disks, signal())
    })

    t.test('assembling gives a root with directories for what is mounted in it, twice the same, and leaves with disassemble', async t => {
      await using opened = await open()
      const { mounted, disks } = await build(opened)
      await writeFile(join(mountPointOf(mounted, '/'), 'in-root'), 'r')
      const root = await opened.stack.assemble(JOB, mounted, disks, signal())
      t.equal(await readFile(join(root, 'in-root'), 'utf8'), 'r')
      await writeFile(join(root, 'srv/data/assembled'), 'a')
      t.equal(await opened.stack.assemble(JOB, mounted, disks, signal()), root)
      await opened.stack.disassemble(JOB, signal())
      await opened.stack.disassemble(JOB, signal())
      t.equal(await readFile(join(mountPointOf(mounted, '/'), 'in-root'), 'utf8'), 'r', 'volumes stay mounted')
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('without a root volume nothing is assembled', async t => {
      await using opened = await open()
      const { mounted, disks } = await build(opened)
      await t.rejects(opened.stack.assemble(JOB, mounted.filter(m => m.volume.index === 1), disks, signal()), { code: 'VOLUME_LAYOUT' })
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('a disk that holds something else is refused with VOLUME_LAYOUT', async t => {
      await using opened = await open()
      const device = await opened.stack.deviceOf(opened.diskUuids[0], signal())
      await opened.scribble(device)
      await t.rejects(opened.stack.partition(device, SYSTEM_DISK, signal()), { code: 'VOLUME_LAYOUT' })
    })

    t.test('another layout than the one on the disk is refused with VOLUME_LAYOUT', async t => {
      await using opened = await open()
      const { disks } = await build(opened)
      const other = { ...SYSTEM_DISK, partitions: SYSTEM_DISK.partitions.map(p => p.number === 4 ? { ...p, sizeBytes: 32 * MIB } : p) }
      await t.rejects(opened.stack.partition(disks[0] ?? '', other, signal()), { code: 'VOLUME_LAYOUT' })
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('a partition that holds another file system is refused with VOLUME_LAYOUT', async t => {
      await using opened = await open()
      const { disks } = await build(opened)
      const other = structuredClone(ROOT)
      other.volume.fileSystem.uuid = '0a0a0a0a-0000-4000-8000-0000000000ff'
      await t.rejects(opened.stack.format(partitionDevice(disks[0] ?? '', 3), other, signal()), { code: 'VOLUME_LAYOUT' })
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('a volume is not mounted from a device that does not hold it', async t => {
      await using opened = await open()
      const { disks } = await build(opened)
      await opened.stack.release(JOB, disks, signal())
      for (const [i, disk] of [SYSTEM_DISK, DATA_DISK].entries()) await opened.stack.partition(disks[i] ?? '', disk, signal())
      await t.rejects(opened.stack.mount(JOB, [{ device: partitionDevice(disks[1] ?? '', 5), volume: ROOT }], signal()), { code: 'VOLUME_LAYOUT' })
      await opened.stack.release(JOB, disks, signal())
    })

    t.test('a file system that cannot be re-created is refused with SOURCE_UNSUPPORTED', async t => {
      await using opened = await open()
      const device = await opened.stack.deviceOf(opened.diskUuids[0], signal())
      await opened.stack.partition(device, SYSTEM_DISK, signal())
      const other = structuredClone(ROOT)
      other.volume.fileSystem.features.push('FEATURE_C12')
      await t.rejects(opened.stack.format(partitionDevice(device, 3), other, signal()), { code: 'SOURCE_UNSUPPORTED' })
      await opened.stack.release(JOB, [device], signal())
    })

    t.test('releasing what is not mounted, or twice, is fine', async t => {
      await using opened = await open()
      await opened.stack.release(JOB, [], signal())
      const { disks } = await build(opened)
      await opened.stack.release(JOB, disks, signal())
      await opened.stack.release(JOB, disks, signal())
      t.pass('nothing thrown')
    })

    t.test('an aborted signal stops before any change', async t => {
      await using opened = await open()
      const device = await opened.stack.deviceOf(opened.diskUuids[0], signal())
      await t.rejects(opened.stack.partition(device, SYSTEM_DISK, AbortSignal.abort()), { name: 'AbortError' })
      await t.rejects(opened.stack.format(partitionDevice(device, 3), ROOT, AbortSignal.abort()), { name: 'AbortError' })
      await t.rejects(opened.stack.mount(JOB, [], AbortSignal.abort()), { name: 'AbortError' })
      await t.rejects(opened.stack.mark([], AbortSignal.abort()), { name: 'AbortError' })
      await t.rejects(opened.stack.unmark([], AbortSignal.abort()), { name: 'AbortError' })
      await t.rejects(opened.stack.deviceOf(opened.diskUuids[0], AbortSignal.abort()), { name: 'AbortError' })
      const { disks } = await build(opened)
      await opened.stack.release(JOB, disks, signal())
    })
  })
}

async function build({ stack, diskUuids }: OpenVolumeStack): Promise<{ mounted: readonly MountedVolume[], disks: readonly string[] }> {
  const disks = await Promise.all(diskUuids.map(async uuid => stack.deviceOf(uuid, signal())))
  for (const [i, disk] of [SYSTEM_DISK, DATA_DISK].entries()) await stack.partition(disks[i] ?? '', disk, signal())
  const volumes = [ROOT, DATA, SWAP].map(volume => ({ volume, device: partitionDevice(disks[volume.disk] ?? '', volume.partition) }))
  for (const { device, volume } of volumes) await stack.format(device, volume, signal())
  return { mounted: await stack.mount(JOB, volumes, signal()), disks }
}

function mountPointOf(mounted: readonly MountedVolume[], path: string): string {
  const found = mounted.find(m => m.volume.volume.mountPoint === path)
  if (found === undefined) throw new Error(`${path} is not mounted`)
  return found.mountPoint
}
