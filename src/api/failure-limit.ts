/** Slows those down who guess tokens: after so many failures an address is refused for a while. */
import type { Clock } from '../clock/clock.ts'
import { AppError } from '../errors/app-error.ts'

const MAX_FAILURES = 10
const PERIOD_MS = 60_000
/** Beyond it the oldest addresses are forgotten. */
const MAX_ADDRESSES = 10_000

export class FailureLimit {
  readonly #clock: Pick<Clock, 'now'>
  readonly #failures = new Map<string, { count: number, sinceMs: number }>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** @throws {AppError} RATE_LIMITED */
  check(address: string): void {
    const failures = this.#current(address)
    if (failures !== undefined && failures.count >= MAX_FAILURES) throw new AppError('RATE_LIMITED', 'too many wrong tokens from this address')
  }

  failed(address: string): void {
    const failures = this.#current(address) ?? { count: 0, sinceMs: this.#clock.now() }
    this.#failures.delete(address)
    this.#failures.set(address, { ...failures, count: failures.count + 1 })
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= MAX_ADDRESSES) break
      this.#failures.delete(oldest)
    }
  }

  #current(address: string): { count: number, sinceMs: number } | undefined {
    const failures = this.#failures.get(address)
    return failures === undefined || this.#clock.now() - failures.sinceMs >= PERIOD_MS ? undefined : failures
  }
}
