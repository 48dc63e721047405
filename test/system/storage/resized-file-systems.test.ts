/** A file system made smaller or larger than on the source is sound, can be written to and fills its device. Asked of the checkers, the kernel and mtools. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { checkBtrfs, checkExt, checkFat, checkXfs } from '../../../src/command/fsck.ts'
import type { FileSystem } from '../../../src/domain/volume.ts'
import { resizeFileSystem } from '../../../src/replica/resize-file-system.ts'
import { makeFileSystem } from '../../../src/storage/make-filesystem.ts'
import { describeFileSystem } from '../../../src/workload/describe-file-system.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { volume } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const runner = new ExecaRunner()
const signal = AbortSignal.timeout(300_000)
const tool = (name: string, ...args: readonly string[]): string => execFileSync(name, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

/** When it first writes to a btrfs. */
const SET_BY_THE_KERNEL = 'big-metadata'

interface Source { type: 'ext4' | 'xfs' | 'btrfs' | 'vfat', make: readonly [string, ...string[]], sizeMiB: number }

const EXT4 = ['mke2fs', '-q', '-F', '-t', 'ext4'] as const
const XFS = ['mkfs.xfs', '-q', '-f'] as const
const SOURCES: Record<string, Source> = {
  'an ext4': { type: 'ext4', make: [...EXT4, '-L', 'data'], sizeMiB: 600 },
  'an ext4 of small blocks without 64bit': { type: 'ext4', make: [...EXT4, '-b', '1024', '-O', '^64bit,^metadata_csum'], sizeMiB: 600 },
  'an xfs': { type: 'xfs', make: [...XFS, '-L', 'data'], sizeMiB: 600 },
  'a btrfs': { type: 'btrfs', make: ['mkfs.btrfs', '-q', '-f', '-L', 'data'], sizeMiB: 600 },
  'a vfat': { type: 'vfat', make: ['mkfs.vfat', '-n', 'DATA'], sizeMiB: 600 },
}

/** As the agent describes a source. */
async function describe(directory: string, device: string, type: Source['type']): Promise<FileSystem> {
  const hostPath = join(directory, 'source')
  mkdirSync(hostPath, { recursive: true })
  if (type !== 'vfat') tool('mount', device, hostPath)
  try {
    const mounts = type === 'vfat' ? [] : [{ mountPoint: '/x', hostPath, majorMinor: '0:1', fileSystemRoot: '/', type, source: device, options: 'rw' }]
    const found = await describeFileSystem({ runner, device, mounts, report: f => { throw new Error(f.message) }, signal })
    if (found === undefined) throw new Error(`nothing on ${device}`)
    return found.fileSystem
  } finally {
    if (type !== 'vfat') tool('umount', hostPath)
  }
}

/** Writes to it, and answers how many bytes it has in all. */
function use(directory: string, device: string, type: Source['type']): number {
  if (type === 'vfat') { // not every kernel that this runs on has FAT
    writeFileSync(join(directory, 'own'), 'own')
    tool('mcopy', '-i', device, join(directory, 'own'), '::/own')
    return Number(/data clusters \((\d+) bytes\)/.exec(tool('fsck.vfat', '-n', '-v', device))?.[1] ?? 0)
  }
  const place = join(directory, 'replica')
  mkdirSync(place)
  tool('mount', device, place)
  try {
    writeFileSync(join(place, 'own'), Buffer.alloc(MIB, 'own'))
    const { blocks, bsize } = statfsSync(place)
    return blocks * bsize
  } finally {
    tool('umount', place)
  }
}

async function clean(device: string, type: Source['type']): Promise<boolean> {
  const check = { ext4: checkExt, xfs: checkXfs, btrfs: checkBtrfs, vfat: checkFat }[type]
  return (await check(runner, device, 60_000, signal)).clean
}

/** Makes the source, describes it, makes it again with another size and looks at that. */
async function makeResized(t: Test, { type, make: [maker, ...args], sizeMiB }: Source, toMiB: number): Promise<FileSystem> {
  using disks = makeLoopDisks([sizeMiB * MIB, toMiB * MIB])
  const [source = '', replica = ''] = disks.devices
  tool(maker, ...args, source)
  const before = await describe(disks.directory, source, type)
  tool('wipefs', '--all', source) // the kernel takes only one btrfs of each UUID
  const planned = resizeFileSystem(before, sizeMiB * MIB, toMiB * MIB)
  await makeFileSystem(runner, replica, volume('sda', 1, '/x', planned, toMiB * MIB), disks.directory, signal)
  t.ok(await clean(replica, type))
  const bytes = use(disks.directory, replica, type)
  t.ok(bytes > 0.75 * toMiB * MIB && bytes <= toMiB * MIB, `${String(bytes)} bytes`)
  t.ok(await clean(replica, type))
  const after = await describe(disks.directory, replica, type)
  const kept = ({ uuid, label, features, blockSizeBytes, inodeSizeBytes }: FileSystem): unknown => ({ uuid, label, features: features.filter(f => f !== SET_BY_THE_KERNEL), blockSizeBytes, inodeSizeBytes })
  t.same(kept(after), kept(before))
  return after
}

for (const [name, source] of Object.entries(SOURCES)) {
  for (const part of [0.6, 2]) {
    t.test(`${name} is made ${String(part)} times as large`, { skip: noLoopDisks() }, async t => { await makeResized(t, source, source.sizeMiB * part) })
  }
}

t.test('an xfs made so small that its log would not fit into its groups gets a smaller log', { skip: noLoopDisks() }, async t => {
  await makeResized(t, { type: 'xfs', make: [...XFS, '-l', 'size=200m'], sizeMiB: 8192 }, 700)
})

t.test('an xfs whose last group, with the log in it, becomes short gets a smaller log', { skip: noLoopDisks() }, async t => {
  await makeResized(t, { type: 'xfs', make: [...XFS, '-d', 'agsize=300m', '-l', 'size=200m'], sizeMiB: 1200 }, 460)
})

t.test('an ext4 made so small that its journal would not fit gets a smaller journal', { skip: noLoopDisks() }, async t => {
  const { properties } = await makeResized(t, { type: 'ext4', make: [...EXT4, '-J', 'size=1024'], sizeMiB: 8192 }, 700)
  t.ok(Number(properties['journalSizeBytes']) < 700 * MIB / 16)
})

t.test('an xfs does without a last group that is smaller than mkfs makes them', { skip: noLoopDisks() }, async t => {
  const { properties } = await makeResized(t, { type: 'xfs', make: [...XFS, '-d', 'agcount=4'], sizeMiB: 1200 }, 602)
  t.match(properties, { agcount: '2', blocks: String(600 * MIB / 4096) })
})
