/** What interrupted mirrors and forgotten captures have left on a volume: which of the replica's objects were sent, which of those may not be whole, and what of the source may have changed unseen. */
import type { ListingEntry } from '../wire/listing-codec.ts'
import type { ResumePoint } from '../wire/messages.ts'

const NS_PER_MS = 1_000_000n
/** by which the clocks of both sides may go apart meanwhile, and the times of a kernel be behind its clock */
const MARGIN_MS = 10_000

export class Arrivals {
  readonly #sentSinceNs: bigint | undefined
  readonly #unsure: readonly { fromNs: bigint, toNs: bigint }[]
  readonly #forgottenSinceNs: bigint | undefined

  /** @param nowMs of the source's clock, since the epoch */
  constructor(point: ResumePoint, nowMs: number) {
    this.#sentSinceNs = point.sentSinceMs === null ? undefined : toNs(point.sentSinceMs)
    this.#unsure = point.unsure.map(([from, to]) => ({ fromNs: toNs(from), toNs: toNs(to) }))
    this.#forgottenSinceNs = point.forgottenForMs === null ? undefined : toNs(nowMs - point.forgottenForMs - MARGIN_MS)
  }

  /** Whether the object was written last by a mirror that compares nothing. */
  wasSent(target: ListingEntry): boolean {
    return this.#sentSinceNs !== undefined && target.ctimeNs >= this.#sentSinceNs
  }

  /** Whether the source's object may have changed since changes are forgotten, and have its times from before. */
  mayHaveChanged(source: ListingEntry): boolean {
    return this.#forgottenSinceNs !== undefined && source.ctimeNs >= this.#forgottenSinceNs
  }

  /** Whether its data may be torn though its attributes are right. */
  isUnsure(target: ListingEntry): boolean {
    const { ctimeNs } = target
    return this.#unsure.some(({ fromNs, toNs: end }) => ctimeNs >= fromNs && ctimeNs < end)
  }
}

function toNs(ms: number): bigint { return BigInt(Math.trunc(ms)) * NS_PER_MS }
