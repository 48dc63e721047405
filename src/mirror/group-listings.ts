/** The listings of several directories that were asked for at once, one by one. */
import { AppError } from '../errors/app-error.ts'
import type { DirectoryPage } from '../tree/source-tree.ts'
import type { ListingPage } from '../wire/listing-codec.ts'

/** Cuts the pages of several directories, which come one after the other, into one listing for each. */
export class GroupListings {
  readonly #listings: AsyncIterator<DirectoryPage>
  constructor(listings: AsyncIterable<DirectoryPage>) { this.#listings = listings[Symbol.asyncIterator]() }

  /**
   * The next directory's pages; must be read to their end before the next call.
   * @throws {AppError} SOURCE_UNREADABLE at the end of one of which not all could be read
   */
  async* next(): AsyncGenerator<ListingPage> {
    for (;;) {
      const step = await this.#listings.next()
      if (step.done === true) return
      if (step.value.page.length > 0) yield step.value.page
      if (step.value.unreadable !== undefined) throw new AppError('SOURCE_UNREADABLE', step.value.unreadable)
      if (step.value.last) return
    }
  }
}

/** No pages at all. */
export const NOTHING: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }

/** Reads what is left of a listing, of which nothing is wanted. */
export async function readToEnd(listing: AsyncIterable<ListingPage>): Promise<void> {
  const pages = listing[Symbol.asyncIterator]()
  while ((await pages.next()).done !== true) { /* wanted is only its end */ }
}
