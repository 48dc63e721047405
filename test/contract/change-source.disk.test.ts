/** The queue on disk: marks that memory has no room for wait in a file, and come back; what the disk does not take or give is rescanned. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Change, ChangeSource } from '../../src/capture/change-source.ts'
import type { DiskQueue } from '../../src/capture/disk-queue.ts'
import { openFanotifyChangeSource } from '../../src/capture/fanotify-change-source.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { MOUNT_SKIP, mountLoop, mountSubvolume } from '../zoo/loop-file-system.ts'

const signal = AbortSignal.timeout(120_000)

async function open(volume: string, disk: DiskQueue): Promise<ChangeSource> {
  return await openFanotifyChangeSource({ volumes: new Map([[5, volume]]), clock: systemClock, limitBytes: 100_000, disk }, signal)
}

async function everything(source: ChangeSource): Promise<Change[]> {
  const all: Change[] = []
  do all.push(...await source.take(signal))
  while (source.hasMore())
  return all
}
const names = (changes: readonly Change[]): string[] => changes.flatMap(change => change.kind === 'entry' ? [change.path.toString()] : []).sort()
const rescans = (changes: readonly Change[]): string[] => changes.flatMap(change => change.kind === 'rescan' ? change.why : [])
const kinds = (source: ChangeSource): string[] => source.status().degraded.map(({ kind }) => kind).filter(kind => kind.startsWith('queue'))

/** Makes so many files, all of which are among the marks then. */
async function make(source: ChangeSource, directory: string, from: number, to: number): Promise<string[]> {
  const made = Array.from({ length: to - from }, (_, n) => `f${String(from + n).padStart(5, '0')}`)
  for (const name of made) writeFileSync(join(directory, name), '')
  await source.peek(signal)
  return made
}

t.test('what memory has no room for waits on disk and comes back in parts; nothing is rescanned, and its room is free again', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  using other = mountLoop('ext4', 64)
  const folder = join(other.path, 'queue')
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(join(folder, 'landfall-queue'), 'what a killed agent left')
  await using source = await open(volume.path, { folder, minimumFreeBytes: 1024 * 1024 })
  t.same(source.status().diskQueueBytes, 0)
  const before = Date.now()
  const made = await make(source, volume.path, 0, 3000)
  const { diskQueueBytes, queueBytes } = source.status()
  t.ok(diskQueueBytes > 50_000 && statSync(join(folder, 'landfall-queue')).size >= diskQueueBytes, `${String(diskQueueBytes)} bytes on disk`)
  t.ok(queueBytes < 100_000, `${String(queueBytes)} bytes of memory`)
  t.ok(source.pending().count >= 3000 && (source.pending().oldestAtMs ?? 0) >= before - 1)
  t.same(kinds(source), ['queue-on-disk'])
  t.match(await source.peek(signal), [{ kind: 'rescan' }])

  const first = await source.take(signal)
  t.ok(first.length <= source.partSize && source.hasMore())
  const later = await make(source, volume.path, 3000, 5000)
  const rest = await everything(source)
  t.same(names([...first, ...rest]).filter(name => made.includes(name)), made)
  t.same(rescans(rest), [])
  const second = await everything(source)
  t.same([...new Set(names([...rest, ...second]).filter(name => later.includes(name)))], later)
  t.same(kinds(source), [])
  t.equal(source.status().diskQueueBytes, 0)
  t.equal(statSync(join(folder, 'landfall-queue')).size, 0)
  t.same(source.pending(), { count: 0, oldestAtMs: undefined })
  await source[Symbol.asyncDispose]()
  t.notOk(existsSync(join(folder, 'landfall-queue')))
})

t.test('a file that is marked in each of many segments comes once, and after it what changes then', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  using other = mountLoop('ext4', 64)
  const folder = join(other.path, 'queue')
  mkdirSync(folder, { mode: 0o700 })
  const hot = join(volume.path, 'hot')
  writeFileSync(hot, 'before')
  await using source = await open(volume.path, { folder, minimumFreeBytes: 1024 * 1024 })
  const paths = (changes: readonly Change[]): string[] => changes.flatMap(change => 'path' in change ? [change.path.toString()] : [])
  let made: string[] = []
  for (let round = 0; round < 10; round++) {
    writeFileSync(hot, `round ${String(round)}`)
    made = [...made, ...await make(source, volume.path, round * 300, (round + 1) * 300)]
  }
  t.ok(source.status().diskQueueBytes > 100_000, 'in many segments')
  const taken = paths(await everything(source))
  t.equal(taken.filter(name => name === 'hot').length, 1)
  t.same(taken.filter(name => made.includes(name)).sort(), made)
  writeFileSync(hot, 'after')
  t.ok(paths(await everything(source)).includes('hot'))
})

t.test('half of its maximum is told, past it a rescan takes the place of what is new, and what is there stays', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  using other = mountLoop('xfs', 400)
  await using source = await open(volume.path, { folder: chmod(other.path), maximumBytes: 60_000, minimumFreeBytes: 0 })
  const made = await make(source, volume.path, 0, 300)
  t.ok(kinds(source).includes('queue-on-disk'))
  await make(source, volume.path, 300, 4000)
  t.ok(['queue-on-disk', 'queue-disk-half'].every(kind => kinds(source).includes(kind)), kinds(source).join())
  t.ok(source.status().diskQueueBytes <= 60_000)
  const all = await everything(source)
  t.ok(rescans(all).includes('queue-full'))
  t.ok(names(all).filter(name => made.includes(name)).length > 200, 'the first ones are told one by one')
  t.same(kinds(source), [])
})

t.test('a disk that is full otherwise, or fails, leads to a rescan', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  using other = mountLoop('ext4', 16)
  await using source = await open(volume.path, { folder: chmod(other.path), minimumFreeBytes: 64 * 1024 })
  try {
    writeFileSync(join(other.path, 'fills'), Buffer.alloc(32 * 1024 * 1024))
    t.fail('the disk is larger than thought')
  } catch { /* it is full now */ }
  await make(source, volume.path, 0, 3000)
  t.same([source.status().diskQueueBytes, kinds(source)], [0, []])
  t.same(rescans(await everything(source)), ['queue-full'])
  truncateSync(join(other.path, 'fills'))
  await make(source, volume.path, 3000, 6000)
  t.ok(source.status().diskQueueBytes > 0, 'it is used again when there is room')
  truncateSync(join(other.path, 'landfall-queue'))
  t.ok(rescans(await everything(source)).includes('queue-lost'), 'what was cut off is lost, and it says so')
  // from now on whatever is asked of it fails
  execFileSync('xfs_io', ['-x', '-c', 'shutdown', other.path], { stdio: ['ignore', 'ignore', 'pipe'] })
  await make(source, volume.path, 6000, 9000)
  t.same(rescans(await everything(source)), ['queue-full'])
})

t.test('a folder on a captured file system, of others, that is none, or too small for the limits is refused', { skip: MOUNT_SKIP }, async t => {
  using volume = mountLoop('ext4', 64)
  using other = mountLoop('ext4', 16)
  using subvolume = mountSubvolume('subvol=@')
  const below = join(volume.path, 'excluded')
  mkdirSync(below, { mode: 0o700 })
  mkdirSync(join(subvolume.path, 'inner'), { mode: 0o700 })
  const refused = async (folder: string, code: string, message: RegExp, limits: Partial<DiskQueue> = {}, of = volume.path): Promise<void> => {
    await t.rejects(open(of, { folder, minimumFreeBytes: 0, ...limits }), { code, message })
  }
  await refused(below, 'QUEUE_FOLDER_REPLICATED', /same file system/)
  await refused(join(subvolume.path, 'inner'), 'QUEUE_FOLDER_REPLICATED', /same file system/, {}, subvolume.path)
  await refused(join(other.path, 'absent'), 'QUEUE_FOLDER_INVALID', /ENOENT/)
  writeFileSync(join(other.path, 'file'), '')
  await refused(join(other.path, 'file'), 'QUEUE_FOLDER_INVALID', /no directory/)
  symlinkSync(below, join(other.path, 'link'))
  await refused(join(other.path, 'link'), 'QUEUE_FOLDER_INVALID', /no directory/)
  chmodSync(other.path, 0o777)
  await refused(other.path, 'QUEUE_FOLDER_INVALID', /others than root/)
  chmodSync(other.path, 0o700)
  await refused(other.path, 'QUEUE_LIMITS_INVALID', /up to 10 MiB are to be used and 10 MiB to stay free/, { maximumBytes: 10 << 20, minimumFreeBytes: 10 << 20 })
  await using source = await open(volume.path, { folder: other.path, minimumFreeBytes: 0 })
  t.equal(source.status().diskQueueBytes, 0)
})

function chmod(folder: string): string {
  chmodSync(folder, 0o700)
  return folder
}
