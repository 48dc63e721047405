/** The conversation with one watchdog: orders and their answers, and what it says unasked. */
import { AppError } from '../errors/app-error.ts'
import { WATCHDOG_PROGRAM, type NativeWatchdog } from '../posix/freezing.ts'
import { native } from '../posix/native.ts'

/** What the watchdog says: letter, index of a mount point, errno. */
export interface WatchdogAnswer { kind: string, index: number, errno: number }

export interface WatchdogOptions {
  holdMs: number
  /** longest time for the freezing itself */
  freezeMs: number
  program?: string | undefined
}

/** how many times as long as for the freezing the watchdog takes at most for the writing back before it (landfall-thaw/watch.rs) */
const WRITE_BACK_TIMES = 20
/** longest time for an answer; the watchdog itself takes at most 3 s for a thaw */
const ANSWER_MS = 10_000

export class Watchdog {
  /** settles when all its processes are gone and nothing that it froze is frozen */
  readonly gone: Promise<void>
  readonly #native: NativeWatchdog
  readonly #options: WatchdogOptions
  readonly #onThawed: (errno?: number) => void
  #waiting: ((answer: WatchdogAnswer | undefined) => void)[] = []
  #isGone = false

  /** @throws {AppError} TOOL_MISSING */
  static start(mountPoints: readonly string[], options: WatchdogOptions, onThawed: (errno?: number) => void): Watchdog {
    const program = options.program ?? WATCHDOG_PROGRAM
    try {
      return new Watchdog(native.FreezeWatchdog.start(Buffer.from(program), options.holdMs, options.freezeMs, mountPoints.map(path => Buffer.from(path))), options, onThawed)
    } catch (error) {
      throw new AppError('TOOL_MISSING', `cannot start the freeze watchdog ${program}; run "npm run addon"`, { cause: error })
    }
  }

  /** @param onThawed called when it has thawed unasked, with what bin/landfall-thaw says of the errno, or is gone */
  private constructor(watchdog: NativeWatchdog, options: WatchdogOptions, onThawed: (errno?: number) => void) {
    this.#native = watchdog
    this.#options = options
    this.#onThawed = onThawed
    this.gone = this.#hear()
  }

  get pid(): number { return this.#native.pid() }

  /** Its first word. Undefined when it has ended, or does not answer. */
  async ready(): Promise<WatchdogAnswer | undefined> {
    return await this.#answer(ANSWER_MS)
  }

  /** Undefined when it has ended, or does not answer in time. */
  async ask(order: 'F' | 'H' | 'T'): Promise<WatchdogAnswer | undefined> {
    const answered = this.#answer(order === 'F' ? this.#options.freezeMs * (1 + WRITE_BACK_TIMES) + ANSWER_MS : ANSWER_MS)
    this.#native.order(order.charCodeAt(0))
    return await answered
  }

  /** Lets it go. */
  end(): void { this.#native.end() }

  /** For a watchdog that does not answer: thaws without it. */
  abandon(): void { if (!this.#isGone) this.#native.abandon() }

  async #answer(ms: number): Promise<WatchdogAnswer | undefined> {
    if (this.#isGone) return undefined
    const { promise, resolve } = Promise.withResolvers<WatchdogAnswer | undefined>()
    this.#waiting.push(resolve)
    const late = setTimeout(resolve, ms, undefined)
    try {
      return await promise
    } finally {
      clearTimeout(late)
    }
  }

  async #hear(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#native.message()
        const answer = { kind: String.fromCharCode(message[0] ?? 0), index: message.readUInt16LE(1), errno: message.readInt32LE(3) }
        if (answer.kind === 'E') this.#onThawed(answer.errno)
        else this.#waiting.shift()?.(answer)
      }
    } catch {
      // the end of its messages
      this.#isGone = true
      for (const resolve of this.#waiting.splice(0)) resolve(undefined)
      this.#onThawed()
    }
  }
}
