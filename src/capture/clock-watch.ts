/**
 * Notices that the wall clock was set: change times come from it, and walks over them must know. To be asked every second or so. A machine
 * that slept shows as one whose clock was set forward.
 */
import { performance } from 'node:perf_hooks'

export interface ClockJump {
  kind: 'clock-set-back' | 'clock-set-forward'
  /** what the clock showed when it was asked last, ms */
  beforeMs: number
  /** the lowest that it can have shown since, ms */
  lowestMs: number
  byMs: number
}

export interface ClockWatchParts {
  now?: () => number
  /** a clock that only goes forward, ms */
  monotonic?: () => number
}

/** Below this it is the slewing of a time server between two looks. */
const SMALLEST_MS = 5
/** How long reading both clocks may take for the reading to count. */
const READING_MS = 2
const READINGS = 5

export class ClockWatch {
  readonly #now: () => number
  readonly #monotonic: () => number
  #wallMs: number
  #aheadMs: number

  constructor({ now = () => Date.now(), monotonic = () => performance.now() }: ClockWatchParts = {}) {
    this.#now = now
    this.#monotonic = monotonic
    const { wallMs, aheadMs } = this.#read()
    this.#wallMs = wallMs
    this.#aheadMs = aheadMs
  }

  /** What happened since it was asked last. */
  check(): ClockJump | undefined {
    const { wallMs, aheadMs } = this.#read()
    const byMs = aheadMs - this.#aheadMs
    const beforeMs = this.#wallMs
    this.#wallMs = wallMs
    this.#aheadMs = aheadMs
    if (Math.abs(byMs) < SMALLEST_MS) return undefined
    return { kind: byMs < 0 ? 'clock-set-back' : 'clock-set-forward', beforeMs, byMs, lowestMs: Math.min(beforeMs, beforeMs + byMs) }
  }

  /** Both clocks close together, if the machine lets us. */
  #read(): { wallMs: number, aheadMs: number } {
    let best = { wallMs: 0, aheadMs: 0, tookMs: Infinity }
    for (let reading = 0; reading < READINGS && best.tookMs > READING_MS; reading++) {
      const before = this.#monotonic()
      const wallMs = this.#now()
      const tookMs = this.#monotonic() - before
      if (tookMs < best.tookMs) best = { wallMs, aheadMs: wallMs - before, tookMs }
    }
    return best
  }
}
