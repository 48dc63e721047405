/**
 * How far a capture has come, as a count that grows with all it does and that no clock can set back. The appliance remembers the last that it
 * was told: a source that says less was set back to an earlier state (a virtual machine to a snapshot, a disk to an older image), and with
 * it went what the agent knew of changes that are on the replica.
 *
 * `kept` counts how often the capture was written down on the source's disk, and `step` what was told since: an agent that was killed goes on
 * with the next `kept`, which is more than it had told. Not found: a disk that is set back to less than half a minute before the agent ended,
 * which is as a crash is.
 */
import type { CapturePosition } from '../domain/progress.ts'

export class CaptureCount {
  #kept: number
  #step = 0

  /** @param kept as it is written down */
  constructor(kept: number) {
    this.#kept = kept
  }

  /** To be told; each time it is more. */
  tell(): CapturePosition {
    return { kept: this.#kept, step: ++this.#step }
  }

  /** What is to be written down next. */
  get next(): number { return this.#kept + 1 }

  /** It is on the disk. */
  written(kept: number): void {
    if (kept <= this.#kept) return
    this.#kept = kept
    this.#step = 0
  }

  /** Whether more was told once; it is passed then, so that what comes from now on is more again. */
  passes({ kept, step }: CapturePosition): boolean {
    if (this.#kept > kept || (this.#kept === kept && this.#step >= step)) return false
    this.written(kept + 1)
    return true
  }
}
