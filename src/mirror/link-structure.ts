/**
 * Whether names that share an object on one side share one on the other: met pair by pair, each name is checked against those before it.
 * Memory is one record for each object with several names, until all of them were met.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

interface Known { other: bigint, path: RelPath, remaining: number }

export class LinkStructure {
  readonly #bySource = new Map<bigint, Known>()
  readonly #byReplica = new Map<bigint, Known>()

  /** Another name, met before, with which this one shares its object on one side only. `again`: both sides share it as they should, and it was met before. */
  check(path: RelPath, source: ListingEntry, replica: ListingEntry): { broken: RelPath | undefined, again: boolean } {
    if (source.type === 'directory' || replica.type === 'directory') return { broken: undefined, again: false }
    const ours = meet(this.#bySource, source, replica.inode, path)
    const theirs = meet(this.#byReplica, replica, source.inode, path)
    if (ours !== undefined && ours.other !== replica.inode) return { broken: ours.path, again: false }
    if (theirs !== undefined && theirs.other !== source.inode) return { broken: theirs.path, again: false }
    return { broken: undefined, again: ours !== undefined && theirs !== undefined }
  }
}

/** The record of the object when it was met before. */
function meet(known: Map<bigint, Known>, entry: ListingEntry, other: bigint, path: RelPath): Known | undefined {
  if (entry.linkCount <= 1) return undefined
  const before = known.get(entry.inode)
  if (before === undefined) known.set(entry.inode, { other, path, remaining: entry.linkCount - 1 })
  else if (--before.remaining <= 0) known.delete(entry.inode)
  return before
}
