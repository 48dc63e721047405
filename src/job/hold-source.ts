/** Keeps the frozen source frozen while the cutover works, and tells when that is no longer so. */
import { AppError, isAppError } from '../errors/app-error.ts'
import type { JobHandle, Seams } from './step.ts'

/** frozen and thawed: it said so; silent: it is away, but not for so long that it thawed; lost: away for longer than it stays frozen */
export type HoldState = 'frozen' | 'thawed' | 'silent' | 'lost'

const HOLDS_PER_PERIOD = 12

export class SourceHold {
  readonly #seams: Pick<Seams, 'sources' | 'clock' | 'times'>
  readonly #sourceId: string
  #heldUntilMs: number

  /** The source is frozen now. */
  constructor(seams: Pick<Seams, 'sources' | 'clock' | 'times'>, job: JobHandle) {
    this.#seams = seams
    this.#sourceId = job.record.source
    this.#heldUntilMs = seams.clock.now() + seams.times.holdMs
  }

  /** Asks once, and thereby prolongs, by `forMs` where that is more than usual. */
  async ask(signal: AbortSignal, forMs?: number): Promise<HoldState> {
    const { clock, sources, times } = this.#seams
    const askedAtMs = clock.now()
    const source = sources.find(this.#sourceId)
    if (source !== undefined) {
      try {
        const held = await source.hold(AbortSignal.any([signal, AbortSignal.timeout(times.holdMs)]), forMs)
        if (!held) return 'thawed'
        this.#heldUntilMs = Math.max(this.#heldUntilMs, askedAtMs + (forMs ?? times.holdMs))
        return 'frozen'
      } catch (error) {
        signal.throwIfAborted()
        const silent = isAppError(error, 'LINK_LOST') || (error instanceof Error && error.name === 'TimeoutError')
        if (!silent) throw error
      }
    }
    return clock.now() >= this.#heldUntilMs ? 'lost' : 'silent'
  }

  /**
   * Runs `work` and holds the source meanwhile. The signal that `work` receives is aborted when the source is no longer held.
   * @throws {AppError} SOURCE_THAWED; otherwise what `work` throws
   */
  async during<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const lost = new AbortController()
    const done = new AbortController()
    const holding = this.#holdUntil(done.signal, lost)
    try {
      const result = await work(AbortSignal.any([signal, lost.signal]))
      lost.signal.throwIfAborted()
      return result
    } catch (error) {
      signal.throwIfAborted()
      lost.signal.throwIfAborted()
      throw error
    } finally {
      done.abort()
      await holding
    }
  }

  /** Waits until the next hold is due. */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#seams.clock.sleep(Math.ceil(this.#seams.times.holdMs / HOLDS_PER_PERIOD), signal)
  }

  async #holdUntil(done: AbortSignal, lost: AbortController): Promise<void> {
    try {
      while (!done.aborted) {
        const state = await this.ask(done)
        if (state === 'thawed' || state === 'lost') {
          lost.abort(new AppError('SOURCE_THAWED', 'the source thawed before the replica was ready'))
          return
        }
        await this.pause(done)
      }
    } catch (error) {
      if (!done.aborted) lost.abort(new AppError('SOURCE_THAWED', 'the source could not be held frozen', { cause: error }))
    }
  }
}
