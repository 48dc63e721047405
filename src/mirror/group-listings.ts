/** The listings of several directories that were asked for at once, one by one. */
import type { ListingPage } from '../wire/listing-codec.ts'
import type { ReplicaListing } from '../wire/operation-stream.ts'

/** Cuts the pages of several directories, which come one after the other, into one listing for each. */
export class GroupListings {
  readonly #listings: AsyncIterator<ReplicaListing>
  constructor(listings: AsyncIterable<ReplicaListing>) { this.#listings = listings[Symbol.asyncIterator]() }

  /** The next directory's pages; must be read to their end before the next call. */
  async* next(): AsyncGenerator<ListingPage> {
    for (;;) {
      const step = await this.#listings.next()
      if (step.done === true) return
      if (step.value.page.length > 0) yield step.value.page
      if (step.value.last) return
    }
  }
}

/** No pages at all. */
export const NOTHING: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }
