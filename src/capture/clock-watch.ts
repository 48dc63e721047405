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
/** Over the life of a capture it may be slewed by so much: the margin of change times covers it. */
const SLEWED_MS = 10
/** How long reading both clocks may take for the reading to count. */
const READING_MS = 2
const READINGS = 5

export class ClockWatch {
  readonly #clocks: Required<ClockWatchParts>
  #wallMs: number
  #aheadMs: number

  constructor({ now = () => Date.now(), monotonic = () => performance.now() }: ClockWatchParts = {}) {
    this.#clocks = { now, monotonic }
    const { wallMs, aheadMs } = readBoth(this.#clocks)
    this.#wallMs = wallMs
    this.#aheadMs = aheadMs
  }

  /** What happened since it was asked last. */
  check(): ClockJump | undefined {
    const { wallMs, aheadMs } = readBoth(this.#clocks)
    const byMs = aheadMs - this.#aheadMs
    const beforeMs = this.#wallMs
    this.#wallMs = wallMs
    this.#aheadMs = aheadMs
    if (Math.abs(byMs) < SMALLEST_MS) return undefined
    return { kind: byMs < 0 ? 'clock-set-back' : 'clock-set-forward', beforeMs, byMs, lowestMs: Math.min(beforeMs, beforeMs + byMs) }
  }
}

/**
 * By how much the wall clock was set back at most: a change may have a change time that is older by so much than the time at which an earlier
 * one was looked for. To be asked before each look.
 */
export class FurthestBack {
  readonly #clocks: Required<ClockWatchParts>
  /** the furthest that the wall clock ever was ahead of the other */
  #aheadMs: number
  #backMs = 0

  constructor({ now = () => Date.now(), monotonic = () => performance.now() }: ClockWatchParts = {}) {
    this.#clocks = { now, monotonic }
    this.#aheadMs = readBoth(this.#clocks).aheadMs
  }

  /** ms, as of the last look; it only grows */
  get byMs(): number { return this.#backMs }

  /** Looks at the clocks. @returns whether it has been set back further than ever */
  look(): boolean {
    const { aheadMs } = readBoth(this.#clocks)
    this.#aheadMs = Math.max(this.#aheadMs, aheadMs)
    const backMs = Math.ceil(this.#aheadMs - aheadMs)
    if (backMs <= Math.max(this.#backMs, SLEWED_MS)) return false
    this.#backMs = backMs
    return true
  }
}

/** Both clocks close together, if the machine lets us. */
function readBoth({ now, monotonic }: Required<ClockWatchParts>): { wallMs: number, aheadMs: number } {
  let best = { wallMs: 0, aheadMs: 0, tookMs: Infinity }
  for (let reading = 0; reading < READINGS && best.tookMs > READING_MS; reading++) {
    const before = monotonic()
    const wallMs = now()
    const tookMs = monotonic() - before
    if (tookMs < best.tookMs) best = { wallMs, aheadMs: wallMs - before, tookMs }
  }
  return best
}
