/**
 * Freezing the source's file systems, so that what is on them is one point in time. A watchdog in another process, prepared before
 * anything is frozen, does the freezing and thaws when nobody held for `holdMs` or this process ended in whatever way; should the watchdog
 * die first, the next `hold` thaws. Never a state in which the source is frozen and nobody thaws it.
 *
 *   const frozen = await freeze(['/srv', '/'], { holdMs: 30_000 }, signal)   // deepest first, the root last
 *   await frozen.hold()    // every few seconds; false: it has thawed
 *   await frozen.thaw()    // or leave(): the source is about to be switched off
 */
import { lstat, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, isAppError } from '../errors/app-error.ts'
import { captureLog } from '../logging/logger.ts'
import { WATCHDOG_PROGRAM, type NativeWatchdog } from '../posix/freezing.ts'
import { native } from '../posix/native.ts'

export interface Frozen extends AsyncDisposable {
  /** when the last file system was frozen, milliseconds since the epoch */
  readonly frozenAtMs: number
  readonly holdMs: number
  /** Starts the watchdog's time again. False when the file systems have thawed: what was read since is no point in time. */
  hold(): Promise<boolean>
  /** Thaws; twice is fine. Disposing thaws too, unless `leave` was called. */
  thaw(): Promise<void>
  /** Leaves everything frozen for ever, for a source that is switched off now. */
  leave(): Promise<void>
  /** Disposes the resource after the thaw: a source descriptor must not be closed while frozen (it may wait for the thaw). */
  keep(resource: AsyncDisposable): void
}

export interface FreezeOptions {
  /** the watchdog thaws when nobody called hold() for so long */
  holdMs: number
  /** the watchdog program; the built one when left out */
  program?: string
}

const ORDER = { freeze: 0x46, hold: 0x48, thaw: 0x54, leave: 0x4c } as const
const READY = 0x52
const FROZEN = 0x46
const HELD = 0x48
const EBUSY = 16

/**
 * Freezes the file systems of these mount points, the deepest first, so that the root comes last. All or none is frozen afterwards.
 * @throws {AppError} FREEZE_FAILED when a path is no mount point, somebody else has frozen one, or a file system cannot be frozen;
 * TOOL_MISSING without the watchdog program. Abort is heeded before the freezing, not within it.
 */
export async function freeze(mountPoints: readonly string[], options: FreezeOptions, signal: AbortSignal): Promise<Frozen> {
  const ordered = await inFreezingOrder(mountPoints)
  const watchdog = startWatchdog(ordered, options)
  try {
    // only the watchdog keeps its memory locked: V8 ends the process when it cannot give locked pages back, and reading works while frozen
    const ready = await watchdog.ready()
    if (ready[0] !== READY) throw refused(ordered, ready)
    signal.throwIfAborted()
    const answer = await watchdog.order(ORDER.freeze)
    if (answer[0] !== FROZEN) throw refused(ordered, answer)
  } catch (error) {
    await watchdog.end()
    if (isAppError(error) || signal.aborted) throw error
    throw new AppError('FREEZE_FAILED', `cannot freeze ${ordered.join(', ')}: the watchdog ended`, { cause: error })
  }
  return new WatchedFreeze(watchdog, options.holdMs)
}

/** One path per file system, deepest first. */
async function inFreezingOrder(mountPoints: readonly string[]): Promise<string[]> {
  const byDevice = new Map<bigint, string>()
  for (const given of mountPoints) {
    const path = await realpath(given)
    const { dev } = await lstat(path, { bigint: true })
    const above = await lstat(dirname(path), { bigint: true })
    // a plain directory: freezing would stop the whole file system around it
    if (path !== '/' && above.dev === dev) throw new AppError('FREEZE_FAILED', `cannot freeze ${path}: no file system is mounted there`)
    byDevice.set(dev, path)
  }
  const depth = (path: string): number => path === '/' ? 0 : path.split('/').length
  return [...byDevice.values()].sort((a, b) => depth(b) - depth(a))
}

function startWatchdog(ordered: readonly string[], options: FreezeOptions): NativeWatchdog {
  const program = options.program ?? WATCHDOG_PROGRAM
  try {
    return native.FreezeWatchdog.start(Buffer.from(program), options.holdMs, ordered.map(path => Buffer.from(path)))
  } catch (error) {
    throw new AppError('TOOL_MISSING', `cannot start the freeze watchdog ${program}; run "npm run addon"`, { cause: error })
  }
}

function refused(ordered: readonly string[], answer: Buffer): AppError {
  const path = answer.length < 7 ? ordered.join(', ') : ordered[answer.readUInt16LE(1)] ?? ''
  const errno = answer.length < 7 ? 0 : answer.readInt32LE(3)
  const why = errno === EBUSY ? 'it is frozen already by another program' : `the kernel refuses it (errno ${String(errno)})`
  return new AppError('FREEZE_FAILED', `cannot freeze ${path}: ${why}`)
}

class WatchedFreeze implements Frozen {
  readonly frozenAtMs = Date.now()
  readonly holdMs: number
  readonly #watchdog: NativeWatchdog
  readonly #kept: AsyncDisposable[] = []
  #ended: Promise<void> | undefined
  #thawed = false

  constructor(watchdog: NativeWatchdog, holdMs: number) {
    this.#watchdog = watchdog
    this.holdMs = holdMs
  }

  async hold(): Promise<boolean> {
    if (this.#ended !== undefined || this.#thawed) return false
    try {
      const answer = await this.#watchdog.order(ORDER.hold)
      this.#thawed = answer[0] !== HELD
    } catch (error) {
      captureLog.error({ err: error }, 'the freeze watchdog ended and the file systems are thawed')
      this.#thawed = true
      await this.#watchdog.thawOurselves()
    }
    return !this.#thawed
  }

  async thaw(): Promise<void> {
    await (this.#ended ??= this.#end(ORDER.thaw))
  }

  async leave(): Promise<void> {
    await (this.#ended ??= this.#end(ORDER.leave))
  }

  keep(resource: AsyncDisposable): void {
    this.#kept.push(resource)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thaw()
  }

  async #end(order: number): Promise<void> {
    try {
      await this.#watchdog.order(order)
    } catch (error) {
      captureLog.error({ err: error }, 'the freeze watchdog ended and the file systems are thawed')
      await this.#watchdog.thawOurselves()
    }
    await this.#watchdog.end()
    // after leave() closing could wait for ever: the descriptors end with the source
    if (order === ORDER.leave) return
    for (const resource of this.#kept) await resource[Symbol.asyncDispose]()
  }
}
