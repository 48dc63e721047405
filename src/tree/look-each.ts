/** `lookAll` and `readMetadataAll` of a SourceTree by calls for one path each. */
import type { RelPath } from '../domain/rel-path.ts'
import { listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { SeenMetadata, SourceTree } from './source-tree.ts'

type Looking = Pick<SourceTree, 'look' | 'readMetadata'>

async function entryAt(tree: Looking, path: RelPath, signal: AbortSignal): Promise<ListingEntry | undefined> {
  const page = await tree.look(path, signal)
  if (page !== undefined) for (const entry of listingEntries(page)) return entry
  return undefined
}

export async function lookEach(tree: Looking, paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | undefined)[]> {
  const found: (ListingEntry | undefined)[] = []
  for (const path of paths) found.push(await entryAt(tree, path, signal))
  return found
}

export async function readMetadataOfEach(tree: Looking, paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | undefined)[]> {
  const seen: (SeenMetadata | undefined)[] = []
  for (const path of paths) {
    const entry = await entryAt(tree, path, signal)
    const batch = entry === undefined ? undefined : await tree.readMetadata(path, signal)
    const isStill = entry !== undefined && (await entryAt(tree, path, signal))?.inode === entry.inode
    seen.push(entry === undefined ? undefined : { inode: entry.inode, linkCount: entry.linkCount, isDirectory: entry.type === 'directory', batch: isStill ? batch : undefined })
  }
  return seen
}
