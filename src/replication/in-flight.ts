/** Changes that were sent and are not durable on the replica yet, and the recovery point latency that follows from them. */
import { degradationsOf } from '../capture/change-set.ts'
import type { Change } from '../capture/change-source.ts'
import type { Degradation } from '../domain/degradation.ts'
import type { Clock } from '../clock/clock.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { LatencyHistogram } from './latency.ts'

interface Sent { changes: readonly Change[], begun: readonly Change[], sequence: number, oldestAtMs: number, waitsForTime: boolean, rescans: readonly Degradation[] }

export class InFlight {
  readonly #clock: Clock
  readonly #most: number
  readonly #latency: LatencyHistogram
  #sent: Sent[] = []
  #count = 0
  #isTiming = false
  readonly #unending = new AbortController()
  /** changes that became durable since the start */
  applied = 0

  /**
   * @param most changes on the way before the next part waits: bounds what is put back, and kept, when the link is lost
   * @param latency where it counts how long changes took
   */
  constructor(clock: Clock, most = Infinity, latency = new LatencyHistogram()) {
    this.#clock = clock
    this.#latency = latency
    this.#most = most
  }

  get count(): number { return this.#count }
  get latencyMsP50(): number { return this.#latency.percentile(0.5) }
  get latencyMsP99(): number { return this.#latency.percentile(0.99) }
  get latencyMsMax(): number { return this.#latency.max }

  /** What the rescans on the way are shown as. */
  get degraded(): Degradation[] { return this.#sent.flatMap(({ rescans }) => rescans) }

  /** Time of the oldest change on the way, undefined when there is none. */
  get oldestAtMs(): number | undefined {
    let oldest = Infinity
    for (const { oldestAtMs } of this.#sent) oldest = Math.min(oldest, oldestAtMs)
    return oldest === Infinity ? undefined : oldest
  }

  /**
   * These changes are safe when this sequence is durable. Not `isTimed`: when they were made is not known. `begun`: what was changed on the replica
   * because of them; it is taken back with them, and is no change of its own.
   */
  add(changes: readonly Change[], sequence: number, { isTimed = true, begun = [] }: { isTimed?: boolean, begun?: readonly Change[] } = {}): void {
    if (changes.length === 0 && begun.length === 0) return
    const rescans = changes.flatMap(change => change.kind === 'rescan' ? degradationsOf(change) : [])
    this.#sent.push({ changes, begun, sequence, waitsForTime: isTimed, rescans, oldestAtMs: changes.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Infinity) })
    this.#count += changes.length
  }

  /** Counts how long what is on the way takes when it becomes durable, which may be in the middle of a long cycle. Ends when nothing is to be timed; never rejects. */
  async time(stream: Pick<OperationStream, 'durable' | 'whenDurable'>): Promise<void> {
    if (this.#isTiming) return
    this.#isTiming = true
    try {
      for (;;) {
        const next = this.#sent.find(({ waitsForTime }) => waitsForTime)
        if (next === undefined) return
        await stream.whenDurable(next.sequence, this.#unending.signal)
        this.#timed(stream.durable)
      }
    } catch {
      // the link has ended: those who send are told, and all that is not durable is sent again
    } finally {
      this.#isTiming = false
    }
  }

  /** Everything up to this sequence has just become durable. */
  #timed(sequence: number): void {
    const now = this.#clock.now()
    for (const sent of this.#sent) {
      if (sent.sequence > sequence) return
      if (sent.waitsForTime) for (const { atMs } of sent.changes) this.#latency.add(Math.max(0, now - atMs))
      sent.waitsForTime = false
    }
  }

  /** Everything up to this sequence is durable. */
  durable(sequence: number): void {
    this.#timed(sequence)
    for (;;) {
      const [first] = this.#sent
      if (first === undefined || first.sequence > sequence) return
      this.#count -= first.changes.length
      this.applied += first.changes.length
      this.#sent.shift()
    }
  }

  /** The sequence to wait for before more is sent; undefined when there is room. */
  get waitFor(): number | undefined {
    return this.#count < this.#most ? undefined : this.#sent[0]?.sequence
  }

  /** All that is not durable; nothing is on the way then. */
  takeBack(): Change[] {
    const back = this.#sent.flatMap(({ changes, begun }) => [...changes, ...begun])
    this.#sent = []
    this.#count = 0
    return back
  }
}
