/** What interrupted mirrors have left on a volume: which of the replica's objects they sent, and which of those may not be whole. */
import type { ListingEntry } from '../wire/listing-codec.ts'
import type { ResumePoint } from '../wire/messages.ts'

const NS_PER_MS = 1_000_000n

export class Arrivals {
  readonly #sentSinceNs: bigint | undefined
  readonly #unsure: readonly { fromNs: bigint, toNs: bigint }[]

  constructor(point: ResumePoint) {
    this.#sentSinceNs = point.sentSinceMs === null ? undefined : toNs(point.sentSinceMs)
    this.#unsure = point.unsure.map(([from, to]) => ({ fromNs: toNs(from), toNs: toNs(to) }))
  }

  /** Whether the object was written last by a mirror that compares nothing. */
  wasSent(target: ListingEntry): boolean {
    return this.#sentSinceNs !== undefined && target.ctimeNs >= this.#sentSinceNs
  }

  /** Whether its data may be torn though its attributes are right. */
  isUnsure(target: ListingEntry): boolean {
    const { ctimeNs } = target
    return this.#unsure.some(({ fromNs, toNs: end }) => ctimeNs >= fromNs && ctimeNs < end)
  }
}

function toNs(ms: number): bigint { return BigInt(Math.trunc(ms)) * NS_PER_MS }
