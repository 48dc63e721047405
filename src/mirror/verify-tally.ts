/** Counts what a verification has found and compared, and says so now and then. */
import type { Clock } from '../clock/clock.ts'
import { NO_VERIFY_PROGRESS, type VerifyProgress } from '../domain/verification.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

const REPORT_INTERVAL_MS = 250

export class VerifyTally {
  readonly #clock: Clock
  readonly #report: (progress: VerifyProgress) => void
  readonly #countBytes: boolean
  readonly #figures: VerifyProgress = { ...NO_VERIFY_PROGRESS }
  #reportedMs = 0

  /** @param countBytes bytes are found and compared, not attributes alone */
  constructor(clock: Clock, report: (progress: VerifyProgress) => void, countBytes: boolean) {
    this.#clock = clock
    this.#report = report
    this.#countBytes = countBytes
  }

  found(entry: ListingEntry): void {
    this.#figures.filesFound++
    this.#figures.bytesFound += this.#bytes(entry)
  }

  compared(entry: ListingEntry): void {
    this.#figures.filesCompared++
    this.#figures.bytesCompared += this.#bytes(entry)
  }

  differs(moving: boolean): void {
    if (moving) this.#figures.moving++
    else this.#figures.differences++
  }

  walked(): void { this.#figures.walked = true }

  progress(): VerifyProgress { return { ...this.#figures } }

  /** Reports when it is time, or now. */
  tell(now = false): void {
    const atMs = this.#clock.now()
    if (!now && atMs - this.#reportedMs < REPORT_INTERVAL_MS) return
    this.#reportedMs = atMs
    this.#report(this.progress())
  }

  #bytes(entry: ListingEntry): number {
    return this.#countBytes && entry.type === 'file' ? Math.min(entry.sizeBytes, entry.allocatedBytes) : 0
  }
}
