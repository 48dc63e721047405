import type { AppliedFailure } from '../wire/messages.ts'

/** What the appliance tells the agent about the operations it got. Sequence numbers; `durable` never exceeds `applied`. */
export interface Acknowledgement {
  /** all up to here is applied (or reported as failed) */
  applied: number
  /** all up to here survives a power loss of the appliance */
  durable: number
  /** operations that could not be applied, since the last acknowledgement */
  failures: readonly AppliedFailure[]
}

/** Failures that one acknowledgement carries at most, and characters of text in them; the rest goes into the next one. */
const MAX_FAILURES = 1000
const MAX_TEXT = 256 * 1024
/** with more failures than this waiting to be acknowledged nothing more is applied */
const MAX_WAITING_FAILURES = 10_000
/** While more waits to be applied, so many batches are acknowledged at once: saying it of each costs both ends. */
const BATCHES = 8

/** Keeps what is to be acknowledged next and wakes the one who waits for it. */
export class AcknowledgementLedger {
  #applied = 0
  #durable = 0
  #said = { applied: 0, durable: 0 }
  #due = false
  #failures: AppliedFailure[] = []
  #broken: Error | undefined
  #wake: (() => void) | undefined
  #room: (() => void) | undefined

  get applied(): number { return this.#applied }
  get durable(): number { return this.#durable }

  /** `more`: further ones wait to be applied, so that this one need not be told alone. */
  noteApplied(sequence: number, failures: readonly AppliedFailure[], more: boolean): void {
    this.#applied = sequence
    for (const failure of failures) this.#failures.push(failure)
    if (more && sequence - this.#said.applied < BATCHES && failures.length === 0) return
    this.#due = true
    this.#wake?.()
  }

  noteDurable(sequence: number): void {
    this.#durable = Math.max(this.#durable, sequence)
    this.#wake?.()
  }

  /** Resolves when there is room for more failures: somebody who does not take acknowledgements gets no more work done. One waiter at a time. */
  async whenRoom(signal: AbortSignal): Promise<void> {
    while (this.#failures.length > MAX_WAITING_FAILURES) {
      signal.throwIfAborted()
      if (this.#broken !== undefined) throw this.#broken
      await new Promise<void>(resolve => {
        const done = (): void => { signal.removeEventListener('abort', done); this.#room = undefined; resolve() }
        this.#room = done
        signal.addEventListener('abort', done, { once: true })
      })
    }
  }

  /** Nothing more will be acknowledged: `next` rejects with this. */
  fail(error: Error): void {
    this.#broken ??= error
    this.#wake?.()
    this.#room?.()
  }

  /** The next acknowledgement, as soon as there is something new to say. One waiter at a time. */
  async next(signal: AbortSignal): Promise<Acknowledgement> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#broken !== undefined) throw this.#broken
      if (this.#due || this.#durable > this.#said.durable || this.#failures.length > 0) {
        this.#due = false
        const failures = this.#failures.splice(0, fitting(this.#failures))
        // a batch of which a failure is yet to be told does not count as applied
        const applied = Math.min(this.#applied, (this.#failures[0]?.sequence ?? Infinity) - 1)
        this.#said = { applied, durable: Math.min(this.#durable, applied) }
        if (this.#failures.length <= MAX_WAITING_FAILURES) this.#room?.()
        return { ...this.#said, failures }
      }
      await new Promise<void>(resolve => {
        const done = (): void => { signal.removeEventListener('abort', done); this.#wake = undefined; resolve() }
        this.#wake = done
        signal.addEventListener('abort', done, { once: true })
      })
    }
  }
}

/** How many of the first failures one acknowledgement takes, at least one. */
function fitting(failures: readonly AppliedFailure[]): number {
  let text = 0
  for (const [i, failure] of failures.entries()) {
    text += failure.path.length + 6 * failure.what.length // as \u0001 in JSON
    if (i === MAX_FAILURES || text > MAX_TEXT) return Math.max(i, 1)
  }
  return failures.length
}
