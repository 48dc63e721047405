/**
 * Capture by fanotify on whole file systems (Linux 5.9 or newer, ext4 and XFS). It sees every change of names, data and attributes but:
 * stores through mmap (seen when the mapping ends), chattr, libaio. Where dirty pages and direct writes can be traced (tier A), those of
 * mmap and libaio are seen when they happen, and it is known which ranges of a file changed (written.rs says what may be missed where pages are
 * kept in large units). `changedSince` makes the rest good by ctime.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock/clock.ts'
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { captureLog } from '../logging/logger.ts'
import { MOVED_DIRECTORY, rescanReasons, takenMarks, type LesserKernel, type NativeWatch, type TakenMark } from '../posix/capture.ts'
import { markedRanges, rangesKey, type MarkedRange } from '../posix/marked-ranges.ts'
import { native } from '../posix/native.ts'
import { errnoOf } from '../posix/posix.ts'
import { ChangeSet } from './change-set.ts'
import { FurthestBack } from './clock-watch.ts'
import { joinRanges } from './changed-range.ts'
import type { CaptureStatus, Change, ChangedObject, ChangeSource, Move, ObjectIdentity } from './change-source.ts'
import { checkDiskQueue, folderUnusable, type DiskQueue } from './disk-queue.ts'
import { memoryShares, type MemoryShares } from './memory-shares.ts'
import { VolumeWalks } from './volume-walks.ts'

/** ctime is taken from a clock that ticks at most every 10 ms (CONFIG_HZ=100), behind the time that we read. */
const CTIME_TICK_NS = 20_000_000n
const NS_PER_MS = 1_000_000n

export interface FanotifyOptions {
  /** absolute path of each volume's root, by the volume's index on the wire */
  volumes: ReadonlyMap<number, string>
  /** the one that change times come from */
  clock: Clock
  /** a clock that only goes forward, ms; left out: the process's */
  monotonic?: (() => number) | undefined
  /** what the marks may take in memory: past it ranges get coarser, then files whole, and then a rescan takes their place */
  limitBytes?: number | undefined
  /** where marks go that memory has no room for, before they are given up; left out: nowhere */
  disk?: DiskQueue | undefined
  /** trace dirty pages where that can be done; left out: yes */
  pages?: boolean
  lesser?: LesserKernel
}

/**
 * Starts the capture; when it resolves every later change is captured.
 * @throws {AppError} SOURCE_MISSING when a root is no directory; CAPTURE_UNSUPPORTED when the kernel, the file system or the rights do not
 * allow it; as checkDiskQueue
 */
export async function openFanotifyChangeSource(options: FanotifyOptions, signal: AbortSignal): Promise<ChangeSource> {
  signal.throwIfAborted()
  const roots = [...options.volumes]
  if (options.disk !== undefined) await checkDiskQueue(options.disk, [...options.volumes.values()])
  const shares = memoryShares(options.limitBytes)
  const watch = openWatch(roots.map(([, path]) => path), shares.markBytes, options.pages ?? true, options.lesser)
  const untraced = watch.untraced()
  if (untraced.length > 0) captureLog.info({ untraced }, 'ranges of changed files are not known')
  const source = new FanotifyChangeSource(watch, roots, options, shares)
  try {
    if (options.disk !== undefined) keepOnDisk(watch, options.disk)
    // what is dirty now was stored to before the capture began: clean it, so that the next store through mmap is timed
    for (const [volume] of roots) await source.settle(volume, signal)
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
  return source
}

function keepOnDisk(watch: NativeWatch, { folder, maximumBytes = Infinity, minimumFreeBytes }: DiskQueue): void {
  try {
    watch.keepOnDisk(Buffer.from(folder), maximumBytes, minimumFreeBytes)
  } catch (error) {
    throw folderUnusable(folder, errnoOf(error) ?? error)
  }
}

/** Whether this machine can capture below these directories, and how well; nothing is started. */
export function probeFanotify(paths: readonly string[]): { unsupported: string } | { untraced: readonly string[] } {
  try {
    const watch = openWatch(paths, PROBE_BYTES, true)
    const untraced = watch.untraced()
    watch.close()
    return { untraced }
  } catch (error) {
    return { unsupported: error instanceof Error ? error.message : String(error) }
  }
}

const PROBE_BYTES = 1024 * 1024

const REASONS = new Map<string, string>([
  ['EPERM', 'the agent lacks the right CAP_SYS_ADMIN'],
  ['EXDEV', 'it is a btrfs subvolume, whose file system can only be watched as a whole'],
  ['ENODEV', 'its file system has no identity'],
  ['EINVAL', 'the kernel is older than 5.9'],
  ['ENOSYS', 'the kernel was built without fanotify'],
  ['EOPNOTSUPP', 'its file system does not give file handles'],
  ['ESTALE', 'its file system does not open file handles'],
])

function openWatch(paths: readonly string[], limitBytes: number, pages: boolean, lesser: LesserKernel = {}): NativeWatch {
  try {
    return native.FanotifyWatch.open(paths.map(path => Buffer.from(path)), limitBytes, pages, lesser)
  } catch (error) {
    const errno = errnoOf(error)
    const what = paths.join(', ')
    if (errno === 'ENOENT' || errno === 'ENOTDIR') throw new AppError('SOURCE_MISSING', `cannot capture changes of ${what}: there is no such directory`, { cause: error })
    const reason = errno === undefined ? undefined : REASONS.get(errno)
    throw new AppError('CAPTURE_UNSUPPORTED', `cannot capture changes of ${what}: ${reason ?? `the kernel refuses it (${errno ?? String(error)})`}`, { cause: error })
  }
}

class FanotifyChangeSource implements ChangeSource {
  readonly epoch = randomUUID()
  readonly startedAtNs: bigint
  readonly #watch: NativeWatch
  readonly #roots: readonly (readonly [number, string])[]
  readonly #clock: Clock
  readonly #back: ChangeSet
  readonly #setBack: FurthestBack
  #moves: Move[] = []
  /** the addon has parts of what is being taken yet */
  #more = false
  readonly partSize: number
  readonly #walks: VolumeWalks

  constructor(watch: NativeWatch, roots: readonly (readonly [number, string])[], { clock, monotonic }: Pick<FanotifyOptions, 'clock' | 'monotonic'>, { changeBytes, partSize }: MemoryShares) {
    this.#watch = watch
    this.#roots = roots
    this.#clock = clock
    this.#back = new ChangeSet(changeBytes)
    this.partSize = partSize
    this.#walks = new VolumeWalks(new Map(roots))
    this.#setBack = new FurthestBack({ now: () => clock.now(), ...monotonic === undefined ? {} : { monotonic } })
    this.startedAtNs = this.#nowNs()
  }

  async take(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    this.#watchClock()
    this.#moves = []
    if (this.#back.hasMore()) return this.#back.take(this.partSize)
    if (this.#back.count > this.partSize) {
      this.#more = true
      return this.#back.take(this.partSize)
    }
    let part: Awaited<ReturnType<NativeWatch['take']>>
    try {
      part = await this.#watch.take(this.partSize)
    } catch (error) {
      // what was in the queue is lost: look at everything since the beginning
      captureLog.error({ err: error }, 'changes could not be read and everything since the start is looked at again')
      const sinceMs = Number(this.startedAtNs / NS_PER_MS)
      for (const [volume] of this.#roots) this.#back.add({ kind: 'rescan', volume, sinceMs, atMs: this.#clock.now(), why: ['events-lost'] })
      this.#more = false
      return this.#back.take(this.partSize)
    }
    this.#more = !part.last
    const known = markedRanges(part.ranges)
    for (const mark of takenMarks(part.records)) this.#join(mark, known, this.#back)
    return this.#back.take(this.partSize)
  }

  hasMore(): boolean {
    return this.#more || this.#back.hasMore()
  }

  moves(): readonly Move[] {
    return this.#moves
  }

  async peek(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    const seen = new ChangeSet(Infinity)
    if (this.hasMore()) for (const [volume] of this.#roots) seen.add({ kind: 'rescan', volume, sinceMs: 0, atMs: this.#clock.now(), why: [] })
    else for (const mark of takenMarks(await this.#watch.peek(this.partSize))) this.#join(mark, new Map(), seen)
    return seen.take()
  }

  async looksEnded(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    try {
      await this.#watch.looksEnded()
    } catch {
      // a queue that cannot be read: the next `take` says so, and less is known of what moves until then
    }
  }

  #join(mark: TakenMark, ranges: ReadonlyMap<string, readonly MarkedRange[]>, into: ChangeSet): void {
    const volume = this.#roots[mark.volume]?.[0]
    if (volume === undefined) throw new RangeError(`a mark of volume ${String(mark.volume)}`)
    switch (mark.kind) {
      case 'entry':
        // the kernel's names: no empty or dot step, no NUL
        into.add({ kind: 'entry', volume, path: parseRelPath(mark.path), ...(mark.linkCount === 0 ? {} : { data: true }), atMs: mark.atMs })
        return
      case 'data': {
        const where = ranges.get(rangesKey(mark.volume, mark.number))
        into.add({ kind: 'data', volume, path: parseRelPath(mark.path), ...objectOf(mark), ...(where === undefined ? {} : { ranges: joinRanges(where, []) }), atMs: mark.atMs })
        return
      }
      case 'metadata':
        into.add({ kind: 'metadata', volume, path: parseRelPath(mark.path), ...objectOf(mark), atMs: mark.atMs })
        return
      case 'object':
        into.add({ kind: 'object', volume, inode: mark.number, atMs: mark.atMs })
        return
      case 'moved': {
        const isDirectory = (mark.linkCount & MOVED_DIRECTORY) !== 0
        this.#moves.push({ volume, from: parseRelPath(Buffer.from(mark.path)), inode: mark.number, linkCount: isDirectory ? 1 : mark.linkCount, isDirectory, early: mark.atMs !== 0 })
        return
      }
      case 'rescan': {
        const sinceMs = Number(mark.number) - this.#setBack.byMs
        const why = rescanReasons(mark.linkCount)
        if (into === this.#back) captureLog.warn({ volume, sinceMs, why }, 'everything that changed since then is looked at again')
        into.add({ kind: 'rescan', volume, sinceMs, atMs: mark.atMs, why })
      }
    }
  }

  putBack(changes: readonly Change[]): void {
    for (const change of changes) this.#back.add(change)
  }

  pending(): { count: number, oldestAtMs: number | undefined } {
    const [count, oldest] = this.#watch.pending()
    const back = this.#back.pending()
    const ages = [oldest < 0 ? undefined : oldest, back.oldestAtMs].filter(age => age !== undefined)
    return { count: count + back.count, oldestAtMs: ages.length === 0 ? undefined : Math.min(...ages) }
  }

  status(): CaptureStatus {
    const [, , bytes, coarseMs, wholeMs, diskQueueBytes, diskMs, halfMs] = this.#watch.pending()
    const { queueBytes, degraded } = this.#back.status()
    if (coarseMs >= 0) degraded.push({ kind: 'ranges-coarse', sinceMs: coarseMs })
    if (wholeMs >= 0) degraded.push({ kind: 'files-whole', sinceMs: wholeMs })
    if (diskMs >= 0) degraded.push({ kind: 'queue-on-disk', sinceMs: diskMs })
    if (halfMs >= 0) degraded.push({ kind: 'queue-disk-half', sinceMs: halfMs })
    return { queueBytes: queueBytes + bytes, diskQueueBytes, degraded }
  }

  async settle(volume: number, signal: AbortSignal): Promise<bigint> {
    signal.throwIfAborted()
    const at = this.#nowNs()
    await this.#walks.writeBack(volume, signal)
    return at
  }

  async* changedSince(volume: number, sinceNs: bigint, options: { frozen: boolean }, signal: AbortSignal): AsyncGenerator<readonly ChangedObject[], void, void> {
    this.#watchClock()
    const since = sinceNs - BigInt(this.#setBack.byMs) * NS_PER_MS
    yield* this.#walks.changedSince(volume, since, options, signal)
  }

  async namesOf(volume: number, inodes: readonly bigint[], options: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>> {
    return await this.#walks.namesOf(volume, inodes, options, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close()
    this.#walks[Symbol.dispose]()
  }

  #nowNs(): bigint {
    return BigInt(this.#clock.now()) * NS_PER_MS - CTIME_TICK_NS
  }

  #watchClock(): void {
    if (this.#setBack.look()) captureLog.warn({ setBackMs: this.#setBack.byMs }, 'the clock was set back and more is looked at again')
  }
}

function objectOf({ number, linkCount }: TakenMark): { object?: ObjectIdentity } {
  return number === 0n ? {} : { object: { inode: number, linkCount } }
}
