/** Recovery point latency as a histogram of fixed size: percentiles within 5 %, however many changes there were. */

/** each bucket is 10 % wider than the one before: its middle is within 5 % of what it holds */
const GROWTH = 1.1
/** 1.1^200 ms is about two days; what is older counts as that */
const BUCKETS = 200

export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  /** the longest of all, exactly */
  max = 0

  /** Counts one change that became durable after so many milliseconds. */
  add(latencyMs: number): void {
    this.max = Math.max(this.max, latencyMs)
    const bucket = latencyMs < 1 ? 0 : 1 + Math.floor(Math.log(latencyMs) / Math.log(GROWTH))
    const at = Math.min(BUCKETS - 1, bucket)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#total++
  }

  /** The latency that this share (0..1) of the changes did not exceed, never more than the longest; 0 when there were none. */
  percentile(share: number): number {
    return Math.min(this.max, this.#middleOf(share))
  }

  /** Of the bucket that this share of the changes reaches into: it may be longer than all that is in it. */
  #middleOf(share: number): number {
    let below = 0
    for (let at = 0; at < BUCKETS; at++) {
      below += this.#counts[at] ?? 0
      if (below >= this.#total * share) return at === 0 ? 0 : Math.round(GROWTH ** (at - 0.5))
    }
    return Math.round(GROWTH ** (BUCKETS - 1.5))
  }
}
