/** What the replica has and the source has not. */
import type { RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

const LOST_AND_FOUND = Buffer.from('lost+found')

/** Whether an entry that only the replica has is to be removed. `lost+found` at the root of a volume belongs to the file system, not to the copy. */
export function isOrphan(directory: RelPath, entry: ListingEntry): boolean {
  return !(directory.length === 0 && entry.type === 'directory' && entry.name.equals(LOST_AND_FOUND))
}
