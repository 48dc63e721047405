/** `lookAll` and `readMetadataAll` of a SourceTree by calls for one path each. */
import { display, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { isLack } from '../posix/posix.ts'
import { listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { SeenMetadata, SourceTree } from './source-tree.ts'

/** of an entry that could not be looked at */
const UNKNOWN_INODE = 0n

type Looking = Pick<SourceTree, 'look' | 'readMetadata'>

async function entryAt(tree: Looking, path: RelPath, signal: AbortSignal): Promise<ListingEntry | undefined> {
  const page = await tree.look(path, signal)
  if (page !== undefined) {
    for (const entry of listingEntries(page)) {
      if (entry.inode === UNKNOWN_INODE) throw new AppError('SOURCE_UNREADABLE', `cannot look at ${display(path)}`)
      return entry
    }
  }
  return undefined
}

export async function lookEach(tree: Looking, paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | AppError | undefined)[]> {
  const found: (ListingEntry | AppError | undefined)[] = []
  for (const path of paths) found.push(await orUnreadable(async () => entryAt(tree, path, signal)))
  return found
}

export async function readMetadataOfEach(tree: Looking, paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | AppError | undefined)[]> {
  const seen: (SeenMetadata | AppError | undefined)[] = []
  for (const path of paths) seen.push(await orUnreadable(async () => metadataAt(tree, path, signal)))
  return seen
}

async function metadataAt(tree: Looking, path: RelPath, signal: AbortSignal): Promise<SeenMetadata | undefined> {
  const entry = await entryAt(tree, path, signal)
  if (entry === undefined) return undefined
  const batch = await tree.readMetadata(path, signal)
  const isStill = (await entryAt(tree, path, signal))?.inode === entry.inode
  return { inode: entry.inode, linkCount: entry.linkCount, isDirectory: entry.type === 'directory', batch: isStill ? batch : undefined }
}

async function orUnreadable<Found>(look: () => Promise<Found>): Promise<Found | AppError> {
  try {
    return await look()
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE') || isLack(error)) throw error
    return error
  }
}
