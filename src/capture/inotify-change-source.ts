/**
 * Capture by inotify (tier C), for kernels and containers without fanotify on file systems. Each directory costs a watch: those beyond the
 * budget are covered by comparing the whole volume at an interval, and once more at every scan, the last one before the cutover among them.
 * It does not know which object a name stood for: what changed through a name that is gone is found by change time.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Clock } from '../clock/clock.ts'
import type { Degradation } from '../domain/degradation.ts'
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { captureLog } from '../logging/logger.ts'
import { native } from '../posix/native.ts'
import { errnoOf } from '../posix/posix.ts'
import { rescanReasons } from '../posix/capture.ts'
import { nameMarks, type NameMark, type NativeInotify } from '../posix/watching.ts'
import { ChangeSet } from './change-set.ts'
import type { CaptureStatus, Change, ChangedObject, ChangeSource, Move } from './change-source.ts'
import { memoryShares } from './memory-shares.ts'
import { VolumeWalks } from './volume-walks.ts'

/** the kernel keeps about 1 KiB for each */
const DEFAULT_WATCHES = 100_000
/** what is left to the other programs of the user */
const OTHERS_SHARE = 4
const DEFAULT_RESCAN_MS = 5 * 60_000
/** ctime is taken from a clock that ticks at most every 10 ms (CONFIG_HZ=100), behind the time that we read. */
const CTIME_TICK_NS = 20_000_000n
const NS_PER_MS = 1_000_000n

export interface InotifyOptions {
  /** absolute path of each volume's root, by the volume's index on the wire; none lies in another */
  volumes: ReadonlyMap<number, string>
  clock: Clock
  /** directories that are watched at most; the kernel's own limit is heeded, too */
  maxWatches?: number
  /** how often all is compared while directories are not watched, in ms */
  rescanMs?: number
  /** what the marks may take in memory; past it a rescan takes their place */
  limitBytes?: number | undefined
}

/**
 * Starts the capture; when it resolves every later change of a watched directory is captured.
 * @throws {AppError} SOURCE_MISSING when a root is no directory; CAPTURE_UNSUPPORTED when the kernel gives no watch
 */
export async function openInotifyChangeSource(options: InotifyOptions, signal: AbortSignal): Promise<ChangeSource> {
  signal.throwIfAborted()
  const watch = openWatch(options)
  const source = new InotifyChangeSource(watch, options)
  try {
    await watch.cover()
    // what is dirty now was stored to before the capture began: clean it, so that the next store through mmap is timed
    for (const volume of options.volumes.keys()) await source.settle(volume, signal)
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
  return source
}

/** Why this machine gives no watch below these directories; undefined when it does. */
export function inotifyUnsupportedReason(paths: readonly string[]): string | undefined {
  try {
    openWatch({ volumes: new Map(paths.entries()) }).close()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const REASONS = new Map<string, string>([
  ['EMFILE', 'the user has as many inotify instances as fs.inotify.max_user_instances allows'],
  ['ENOSPC', 'the user has as many watches as fs.inotify.max_user_watches allows'],
  ['ENOSYS', 'the kernel was built without inotify'],
  ['EACCES', 'the agent may not read it'],
])

function openWatch(options: Pick<InotifyOptions, 'volumes' | 'maxWatches' | 'limitBytes'>): NativeInotify {
  const paths = [...options.volumes.values()]
  try {
    return native.InotifyWatch.open(paths.map(path => Buffer.from(path)), Math.min(options.maxWatches ?? DEFAULT_WATCHES, kernelLimit()), memoryShares(options.limitBytes).markBytes)
  } catch (error) {
    const errno = errnoOf(error)
    const what = paths.join(', ')
    if (errno === 'ENOENT' || errno === 'ENOTDIR') throw new AppError('SOURCE_MISSING', `cannot capture changes of ${what}: there is no such directory`, { cause: error })
    const reason = errno === undefined ? undefined : REASONS.get(errno)
    throw new AppError('CAPTURE_UNSUPPORTED', `cannot watch the directories of ${what}: ${reason ?? `the kernel refuses it (${errno ?? String(error)})`}`, { cause: error })
  }
}

/** What of the watches that the kernel allows a user we take. */
function kernelLimit(): number {
  try {
    const limit = Number.parseInt(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'utf8'), 10)
    return Number.isNaN(limit) ? DEFAULT_WATCHES : Math.max(1, limit - Math.ceil(limit / OTHERS_SHARE))
  } catch {
    return DEFAULT_WATCHES // not told: the kernel refuses what is too much
  }
}

class InotifyChangeSource implements ChangeSource {
  readonly epoch = randomUUID()
  readonly startedAtNs: bigint
  readonly #watch: NativeInotify
  readonly #volumes: readonly number[]
  readonly #clock: Clock
  readonly #rescanMs: number
  readonly #back: ChangeSet
  readonly #walks: VolumeWalks
  readonly partSize: number
  /** the addon has parts of what is being taken yet */
  #more = false
  /** since when a directory is not watched */
  #uncoveredSinceMs: number | undefined
  /** up to when everything was compared, and when it is next */
  #comparedMs: number
  #compareAtMs: number
  /** volumes of which a rescan was taken, until it has walked by change time, which it does itself */
  readonly #rescanning = new Set<number>()
  /** the last walk was one of a frozen volume, whose descriptors stay open: none is made but what is asked for */
  #frozen = false

  constructor(watch: NativeInotify, { volumes, clock, rescanMs = DEFAULT_RESCAN_MS, limitBytes }: InotifyOptions) {
    this.#watch = watch
    this.#volumes = [...volumes.keys()]
    this.#clock = clock
    this.#rescanMs = rescanMs
    const { changeBytes, partSize } = memoryShares(limitBytes)
    this.#back = new ChangeSet(changeBytes)
    this.partSize = partSize
    this.#walks = new VolumeWalks(volumes)
    this.startedAtNs = nowNs()
    this.#comparedMs = Number(this.startedAtNs / NS_PER_MS)
    this.#compareAtMs = clock.now() + rescanMs
  }

  async take(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    if (!this.#back.hasMore()) {
      if (!this.hasMore() && !this.#frozen && this.#isUncovered() && this.#clock.now() >= this.#compareAtMs) await this.#compare(this.#volumes)
      if (this.#back.count > this.partSize) this.#more = true
      else await this.#read()
    }
    const taken = this.#back.take(this.partSize)
    for (const change of taken) if (change.kind === 'rescan') this.#rescanning.add(change.volume)
    return taken
  }

  hasMore(): boolean {
    return this.#more || this.#back.hasMore()
  }

  /** Names are all that is known here: what moved is sent again. */
  moves(): readonly Move[] {
    return []
  }

  async peek(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    if (this.hasMore()) return this.#volumes.map(volume => ({ kind: 'rescan', volume, sinceMs: 0, atMs: this.#clock.now(), why: [] }))
    await this.#read()
    const seen = this.#back.take()
    this.putBack(seen)
    return seen
  }

  async looksEnded(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
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
    const [, , bytes] = this.#watch.pending()
    const { queueBytes, degraded } = this.#back.status()
    const missed: Degradation[] = this.#isUncovered() ? [{ kind: 'watch-missed', sinceMs: Math.max(0, this.#uncoveredSinceMs ?? this.#comparedMs) }] : []
    return { queueBytes: queueBytes + bytes, diskQueueBytes: 0, degraded: [...degraded, ...missed] }
  }

  async settle(volume: number, signal: AbortSignal): Promise<bigint> {
    const at = nowNs()
    await this.#walks.writeBack(volume, signal)
    return at
  }

  async* changedSince(volume: number, sinceNs: bigint, options: { frozen: boolean }, signal: AbortSignal): AsyncGenerator<readonly ChangedObject[], void, void> {
    this.#frozen = options.frozen
    const isScan = !this.#rescanning.delete(volume)
    if (isScan && this.#isUncovered()) {
      // a change time does not tell what was removed from a directory that is not watched, nor that a name stands for something else: names
      // are compared first
      await this.#compare([volume], Number(sinceNs / NS_PER_MS))
      return
    }
    yield* this.#walks.changedSince(volume, sinceNs, options, signal)
  }

  async namesOf(volume: number, inodes: readonly bigint[], options: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>> {
    this.#frozen = options.frozen
    return await this.#walks.namesOf(volume, inodes, options, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close()
    this.#walks[Symbol.dispose]()
  }

  async #read(): Promise<void> {
    let records: Buffer
    try {
      const part = await this.#watch.take(this.partSize)
      records = part.records
      this.#more = !part.last
    } catch (error) {
      this.#more = false
      captureLog.error({ err: error }, 'changes could not be read and everything since the start is looked at again')
      this.#rescan(this.#volumes, Number(this.startedAtNs / NS_PER_MS), 'events-lost')
      return
    }
    let lost = false
    for (const mark of nameMarks(records)) {
      lost ||= mark.kind === 'rescan'
      this.#join(mark)
    }
    // directories that came meanwhile are watched before anything is compared
    if (lost) await this.#watch.cover()
  }

  #join({ kind, volume: index, atMs, sinceMs, path }: NameMark): void {
    const volume = this.#volumes[index]
    if (volume === undefined) throw new RangeError(`a mark of volume ${String(index)}`)
    if (kind === 'rescan') {
      const why = rescanReasons(path.readUInt8(0))
      captureLog.warn({ volume, sinceMs, why }, 'everything that changed since then is looked at again')
      this.#back.add({ kind, volume, sinceMs, atMs, why })
      return
    }
    // the records are ours alone; the kernel's names: no empty or dot step, no NUL
    this.#back.add({ kind, volume, path: parseRelPath(path), atMs })
  }

  /** Watches what can be watched now, and has the volumes compared. */
  async #compare(volumes: readonly number[], sinceMs = Infinity): Promise<void> {
    const began = this.#clock.now()
    await this.#watch.cover()
    this.#rescan(volumes, Math.min(sinceMs, this.#comparedMs), 'watch-missed')
    if (volumes.length === this.#volumes.length) this.#comparedMs = began - Number(CTIME_TICK_NS / NS_PER_MS)
    this.#compareAtMs = began + this.#rescanMs
  }

  #rescan(volumes: readonly number[], sinceMs: number, why: 'events-lost' | 'watch-missed'): void {
    for (const volume of volumes) this.#back.add({ kind: 'rescan', volume, sinceMs, atMs: this.#clock.now(), why: [why] })
  }

  #isUncovered(): boolean {
    const [, , , , uncovered] = this.#watch.pending()
    if (uncovered === 0) this.#uncoveredSinceMs = undefined
    else this.#uncoveredSinceMs ??= this.#clock.now()
    return uncovered > 0
  }
}

function nowNs(): bigint {
  return BigInt(Date.now()) * NS_PER_MS - CTIME_TICK_NS
}
