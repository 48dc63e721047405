/**
 * Measures replication from outside: writes a number into a file of the source now and then and looks when the replica shows it. It knows
 * nothing of the agent's own figures. What it sees is visible on the replica, not yet flushed.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export interface ProbeReport {
  stamps: number
  /** milliseconds from writing a stamp to seeing it, or a later one, on the replica; NaN when there was none */
  msP50: number, msP99: number, msMax: number
}

const NAME = 'probe-stamp'
const STAMP_MS = 100
const LOOK_MS = 5

export class Probe {
  readonly #source: string
  readonly #replica: string
  readonly #over = new AbortController()
  readonly #work: Promise<void>
  /** when each stamp was written that the replica does not show yet */
  #waiting: { stamp: number, atMs: number }[] = []
  readonly #latenciesMs: number[] = []
  #stamp = 0

  private constructor(source: string, replica: string) {
    this.#source = join(source, NAME)
    this.#replica = join(replica, NAME)
    this.#work = this.#run()
    this.#work.catch(() => undefined)
  }

  static start(source: string, replica: string): Probe {
    return new Probe(source, replica)
  }

  /** Writes no more stamps; those on their way are waited for until the deadline and count with what they have waited by then. */
  async stop(deadlineMs: number): Promise<ProbeReport> {
    this.#over.abort()
    await this.#work
    const until = performance.now() + deadlineMs
    while (this.#waiting.length > 0 && performance.now() < until) await this.#look()
    const now = performance.now()
    for (const { atMs } of this.#waiting) this.#latenciesMs.push(now - atMs)
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b)
    const of = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN)
    return { stamps: sorted.length, msP50: of(0.5), msP99: of(0.99), msMax: of(1) }
  }

  /** Resolves after so many milliseconds of probing. */
  async runFor(ms: number, signal: AbortSignal): Promise<void> {
    await Promise.race([pause(ms, undefined, { signal }), this.#work])
  }

  async #run(): Promise<void> {
    let next = performance.now()
    while (!this.#over.signal.aborted) {
      if (performance.now() >= next) {
        next = performance.now() + STAMP_MS
        const stamp = ++this.#stamp
        const atMs = performance.now()
        await writeFile(this.#source, `${String(stamp)}\n`)
        this.#waiting.push({ stamp, atMs })
      }
      await this.#look()
    }
  }

  async #look(): Promise<void> {
    await pause(LOOK_MS)
    const text = await readFile(this.#replica, 'latin1').catch(() => '')
    // without its end it may be half of a number
    const seen = text.endsWith('\n') ? Number(text) : 0
    const now = performance.now()
    for (const { stamp, atMs } of this.#waiting) if (stamp <= seen) this.#latenciesMs.push(now - atMs)
    this.#waiting = this.#waiting.filter(({ stamp }) => stamp > seen)
  }
}
