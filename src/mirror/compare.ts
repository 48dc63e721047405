/**
 * Two listings of one directory, the source's and the replica's, become a judgement for each name. Pure but for pulling the pages. It
 * decides what differs, not how it is sent.
 */
import { SUBVOLUME_FLAG } from '../domain/file-operation.ts'
import { listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import type { MirrorRequest } from '../wire/messages.ts'
import type { Arrivals } from './arrivals.ts'

export type Compare = MirrorRequest['compare']

/** What is to be done about one name that the source has. */
export type Verdict =
  /** nothing to do */
  | 'same'
  /** content is taken as equal, metadata differs */
  | 'metadata'
  /** a regular file on both sides whose data must be compared block by block though its attributes are equal */
  | 'verify'
  /** a regular file on both sides whose data differs */
  | 'content'
  /** what is there must go first */
  | 'replace'
  /** the replica has nothing there */
  | 'create'

/** A name that at least one side has. */
export interface Pair { source: ListingEntry | undefined, target: ListingEntry | undefined }

/** The verdict for an entry of the source; pure. `arrivals`: what interrupted mirrors and forgotten captures have left there. Hard links are judged by `link-groups.ts` before. */
export function judge(source: ListingEntry, target: ListingEntry | undefined, compare: Compare, arrivals?: Arrivals): Verdict {
  if (target === undefined) return 'create'
  if (source.type !== target.type) return 'replace'
  if (source.type === 'directory') {
    // names in a subvolume are not the parent's: they cannot be linked
    if ((target.flags & ~source.flags & SUBVOLUME_FLAG) !== 0) return 'replace'
    return source.sameRecord(target) ? 'same' : 'metadata'
  }
  if (source.type !== 'file') {
    if (source.sameRecord(target)) return 'same'
    return sameTarget(source, target) ? 'metadata' : 'replace'
  }
  if (!source.sameContentAttributes(target)) return 'content'
  if (compare === 'none' && arrivals?.wasSent(target) !== true) return 'content'
  if (compare === 'data' || arrivals?.isUnsure(target) === true || arrivals?.mayHaveChanged(source) === true) return 'verify'
  return source.sameRecord(target) ? 'same' : 'metadata'
}

/** A symbolic link or node of which only the metadata (times, owner) differs. */
function sameTarget(source: ListingEntry, target: ListingEntry): boolean {
  return source.symlinkTarget.equals(target.symlinkTarget) && source.deviceMajor === target.deviceMajor && source.deviceMinor === target.deviceMinor
}

/**
 * Joins the two listings, both in name order, into pairs, a list for each page of the source (and for what remains of the target).
 * `target` is read to its end.
 */
export async function* joinListings(source: AsyncIterable<ListingPage>, target: AsyncIterable<ListingPage>): AsyncGenerator<readonly Pair[]> {
  const right = new Cursor(target)
  await right.fill()
  for await (const page of source) {
    const pairs: Pair[] = []
    for (const entry of listingEntries(page)) {
      for (;;) {
        const other = right.current
        const order = other === undefined ? 1 : other.compareName(entry)
        if (order < 0) pairs.push({ source: undefined, target: other })
        else pairs.push({ source: entry, target: order === 0 ? other : undefined })
        if (order <= 0 && right.step()) await right.fill()
        if (order >= 0) break
      }
    }
    yield pairs
  }
  for (let pairs: Pair[] = []; right.current !== undefined; pairs = []) {
    do pairs.push({ source: undefined, target: right.current })
    while (!right.step())
    await right.fill()
    yield pairs
  }
}

/** Steps through the entries of a paged listing. */
class Cursor {
  readonly #pages: AsyncIterator<ListingPage>
  #entries: readonly ListingEntry[] = []
  #at = 0

  constructor(pages: AsyncIterable<ListingPage>) { this.#pages = pages[Symbol.asyncIterator]() }

  get current(): ListingEntry | undefined { return this.#entries[this.#at] }

  /** Goes one on; true when the page is used up and `fill` must be called. */
  step(): boolean {
    this.#at++
    return this.#at >= this.#entries.length
  }

  /** Loads the next page that has an entry, or leaves nothing. */
  async fill(): Promise<void> {
    this.#entries = []
    this.#at = 0
    while (this.#entries.length === 0) {
      const next = await this.#pages.next()
      if (next.done === true) return
      this.#entries = [...listingEntries(next.value)]
    }
  }
}
