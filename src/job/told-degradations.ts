/** Tells people what of the capture is less than it should be: in the job's activity and health while it lasts, and in its history. */
import { describeDegradation, isMirrorRequired, isUnseenEnd, type Degradation, type DegradationKind } from '../domain/degradation.ts'
import type { JobChange, JobHandle } from './step.ts'

/** The activity of a job that follows its source. */
export const PROTECTING = 'protecting: changes are replicated'

/** A source may say that something is so, and is not, as often as it likes: its beginning and end are written down so many times. */
const MAX_NOTES = 40

export class ToldDegradations {
  readonly #job: JobHandle
  #kinds = new Set<DegradationKind>()
  readonly #notes = new Map<string, number>()
  readonly #failures: unknown[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(job: JobHandle) {
    this.#job = job
  }

  /** What the job is to show. What is new, or over, goes into its history. */
  look(degraded: readonly Degradation[]): JobChange {
    const before = this.#kinds
    const now = new Map(degraded.map(one => [one.kind, one]))
    this.#kinds = new Set(now.keys())
    for (const [kind, one] of now) if (!before.has(kind)) this.#note(isUnseenEnd(kind) ? 'mirror-required' : `capture-${kind}`, describeDegradation(one))
    for (const kind of before) if (!now.has(kind)) this.#note(isUnseenEnd(kind) ? 'mirror-made-good' : `capture-${kind}-over`, `over: ${describeDegradation({ kind, sinceMs: 0 })}`)
    if (now.size === 0) return before.size === 0 ? {} : { health: 'ok', activity: PROTECTING }
    const [first] = now.values()
    if (now.has('volume-rolled-back')) return { health: 'warning', activity: 'mirror required: the source was set back to an earlier state, everything is compared' }
    if (isMirrorRequired(degraded)) return { health: 'warning', activity: 'mirror required: what changed since the agent or the source ended is compared' }
    return first === undefined ? {} : { health: 'warning', activity: `protecting; ${describeDegradation(first)}` }
  }

  /** All that was told is in the history. @throws what the store throws */
  async written(): Promise<void> {
    await this.#writing
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  #note(kind: string, message: string): void {
    const notes = (this.#notes.get(kind) ?? 0) + 1
    this.#notes.set(kind, notes)
    if (notes > MAX_NOTES) return
    const before = this.#writing
    this.#writing = (async () => {
      await before
      try {
        await this.#job.note(kind, message)
      } catch (error) {
        this.#failures.push(error) // told by `written`
      }
    })()
  }
}
