/**
 * Freezing the source's file systems, so that what is on them is one point in time. A watchdog in other processes, prepared before anything
 * is frozen, does the freezing and thaws when nobody held for `holdMs`, another program thawed one, or this process ended in whatever way; should
 * the watchdog be killed, this process thaws at once. Never a state in which the source is frozen and nobody thaws it. While frozen nothing is logged: the log may
 * lie on what is frozen.
 *
 *   const frozen = await freeze(['/srv', '/'], { holdMs: 30_000 }, signal)   // deepest first, the root last
 *   await frozen.hold()    // every few seconds; false: it has thawed
 *   await frozen.thaw()
 */
import { realpath } from 'node:fs/promises'
import { unlessAborted } from '../clock/unless-aborted.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { captureLog, holdLogs } from '../logging/logger.ts'
import { mountAt, type MountEntry } from '../posix/mount-table.ts'
import { Watchdog, type WatchdogAnswer } from './watchdog.ts'

export interface Frozen extends AsyncDisposable {
  /** when the first file system was frozen, milliseconds since the epoch */
  readonly frozenAtMs: number
  readonly holdMs: number
  /** aborted when the file systems are thawed; the reason is SOURCE_THAWED when nobody asked for it */
  readonly thawed: AbortSignal
  /** Starts the watchdog's time again, when the kernel says that all are frozen yet. False when one has thawed: what was read since is no point in time. */
  hold(): Promise<boolean>
  /** Thaws; twice is fine. Disposing thaws too. */
  thaw(): Promise<void>
  /** Disposes the resource after the thaw: a source descriptor must not be closed while frozen (it may wait for the thaw). */
  keep(resource: AsyncDisposable): void
}

export interface FreezeOptions {
  /** the watchdog thaws when nobody called hold() for so long */
  holdMs: number
  /** longest time for the freezing itself, default 15 s; before it, when nothing is frozen yet, all is written back, which may take 20 times as long */
  freezeMs?: number
  /** the watchdog program; the built one when left out */
  program?: string
}

const EBUSY = 16
const EINVAL = 22
const ETIMEDOUT = 110
const FREEZE_MS = 15_000
/** what a watchdog that was let go gets to end */
const ENDING_MS = 15_000

/** Watchdogs that were let go: as long as one is there it may thaw, so nothing is frozen. */
const ending = new Set<Promise<void>>()

/**
 * Freezes the file systems of these mount points, the deepest first, so that the root comes last; FAT cannot be frozen. All or none is frozen afterwards; one that
 * did not answer in time is thawed as soon as it does.
 * @throws {AppError} FREEZE_BUSY when somebody else has frozen one, FREEZE_TIMEOUT when one does not answer, FREEZE_FAILED when a path is no
 * mount point or a file system cannot be frozen; TOOL_MISSING without the watchdog program. Abort thaws what is frozen already.
 */
export async function freeze(mountPoints: readonly string[], options: FreezeOptions, signal: AbortSignal): Promise<Frozen> {
  const ordered = await inFreezingOrder(mountPoints)
  const freezeMs = options.freezeMs ?? FREEZE_MS
  await formerEnded(ordered)
  const thawed = new AbortController()
  // only the watchdog keeps its memory locked: V8 ends the process when it cannot give locked pages back, and reading works while frozen
  const watchdog = Watchdog.start(ordered, { holdMs: options.holdMs, freezeMs, program: options.program }, errno => { thawed.abort(new AppError('SOURCE_THAWED', thawedBecause(errno))) })
  const speak = holdLogs()
  try {
    const ready = await watchdog.ready()
    if (ready?.kind !== 'R') throw refused(ordered, ready, freezeMs)
    signal.throwIfAborted()
    const answer = await unlessAborted(watchdog.ask('F'), signal)
    if (answer === undefined) watchdog.abandon()
    if (answer?.kind !== 'F') throw refused(ordered, answer, freezeMs)
    return new WatchedFreeze(watchdog, { holdMs: options.holdMs, frozenAtMs: Date.now() - answer.errno, speak }, thawed)
  } catch (error) {
    letGo(watchdog)
    speak()
    if (!isAppError(error, 'FREEZE_TIMEOUT')) await endsWithin(watchdog.gone, ENDING_MS)
    throw error
  }
}

function letGo(watchdog: Watchdog): void {
  watchdog.end()
  ending.add(watchdog.gone)
  void (async () => {
    await watchdog.gone
    ending.delete(watchdog.gone)
  })()
}

async function formerEnded(ordered: readonly string[]): Promise<void> {
  const ended = await endsWithin(Promise.all(ending), ENDING_MS)
  if (!ended) throw new AppError('FREEZE_TIMEOUT', `cannot freeze ${ordered.join(', ')}: a file system still has not answered the freezing before`)
}

async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, ms, false)
  try {
    return await Promise.race([late, (async () => { await work; return true })()])
  } finally {
    clearTimeout(timer)
  }
}

/** FAT, which no kernel freezes: what is written to an EFI system partition after the last look at it is lost. */
const UNFREEZABLE: ReadonlySet<string> = new Set(['vfat', 'msdos'])

/** One path per file system, deepest first; without those that cannot be frozen. */
async function inFreezingOrder(mountPoints: readonly string[]): Promise<string[]> {
  const mounts: MountEntry[] = []
  for (const given of mountPoints) {
    const path = await realpath(given)
    const mount = await mountAt(path)
    // a plain directory: freezing would stop the whole file system around it
    if (mount === undefined) throw new AppError('FREEZE_FAILED', `cannot freeze ${path}: no file system is mounted there`)
    mounts.push(mount)
  }
  return freezingOrder(mounts)
}

/** Pure. */
export function freezingOrder(mounts: readonly Pick<MountEntry, 'device' | 'mountPoint' | 'type'>[]): string[] {
  const depth = (path: string): number => path === '/' ? 0 : path.split('/').length
  const byDevice = new Map<string, string>()
  for (const { device, mountPoint, type } of mounts) {
    if (UNFREEZABLE.has(type)) continue
    // of subvolumes the kernel tells one device here, and stat() another one for each
    const known = byDevice.get(device)
    if (known === undefined || depth(mountPoint) < depth(known)) byDevice.set(device, mountPoint)
  }
  return [...byDevice.values()].sort((a, b) => depth(b) - depth(a))
}

function thawedBecause(errno: number | undefined): string {
  if (errno === EINVAL) return 'another program thawed the source, as the end of a backup does'
  return errno === ETIMEDOUT ? 'nobody held the source frozen' : 'the watchdog that held the source frozen has ended'
}

function refused(ordered: readonly string[], answer: WatchdogAnswer | undefined, freezeMs: number): AppError {
  if (answer === undefined) return new AppError('FREEZE_FAILED', `cannot freeze ${ordered.join(', ')}: the watchdog ended or does not answer`)
  const path = ordered[answer.index] ?? ordered.join(', ')
  if (answer.errno === EBUSY) return new AppError('FREEZE_BUSY', `cannot freeze ${path}: it is frozen already by another program`)
  if (answer.errno === ETIMEDOUT) return new AppError('FREEZE_TIMEOUT', `cannot freeze ${path}: it did not write back, or freeze, in time (${String(freezeMs / 1000)} s for the freezing) and did not answer; it is thawed as soon as it does`)
  return new AppError('FREEZE_FAILED', `cannot freeze ${path}: the kernel refuses it (errno ${String(answer.errno)})`)
}

class WatchedFreeze implements Frozen {
  readonly frozenAtMs: number
  readonly holdMs: number
  readonly #watchdog: Watchdog
  readonly #thawed: AbortController
  readonly #kept: AsyncDisposable[] = []
  #ended: Promise<void> | undefined

  /** @param of speak: lets the logs go, called when it is thawed */
  constructor(watchdog: Watchdog, of: { holdMs: number, frozenAtMs: number, speak: () => void }, thawed: AbortController) {
    this.#watchdog = watchdog
    this.#thawed = thawed
    this.holdMs = of.holdMs
    this.frozenAtMs = of.frozenAtMs
    const over = (): void => {
      of.speak()
      if (this.#ended === undefined) captureLog.error({ err: thawed.signal.reason as unknown }, 'the file systems thawed unasked')
    }
    thawed.signal.addEventListener('abort', over, { once: true })
    if (thawed.signal.aborted) over()
  }

  get thawed(): AbortSignal { return this.#thawed.signal }

  async hold(): Promise<boolean> {
    if (this.#ended !== undefined || this.#thawed.signal.aborted) return false
    const answer = await this.#watchdog.ask('H')
    if (answer?.kind === 'H') return true
    if (answer === undefined) await this.#withoutWatchdog()
    this.#thawed.abort(new AppError('SOURCE_THAWED', 'the watchdog does not hold the source frozen any more'))
    return false
  }

  async thaw(): Promise<void> {
    await (this.#ended ??= this.#thaw())
  }

  keep(resource: AsyncDisposable): void {
    this.#kept.push(resource)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thaw()
  }

  async #thaw(): Promise<void> {
    if (!this.#thawed.signal.aborted && await this.#watchdog.ask('T') === undefined) await this.#withoutWatchdog()
    letGo(this.#watchdog)
    this.#thawed.abort()
    await endsWithin(this.#watchdog.gone, ENDING_MS)
    for (const resource of this.#kept) await resource[Symbol.asyncDispose]()
  }

  /** It is gone, and what it froze was thawed by its end; or it hangs. */
  async #withoutWatchdog(): Promise<void> {
    this.#watchdog.abandon()
    await endsWithin(this.#watchdog.gone, ENDING_MS)
  }
}
