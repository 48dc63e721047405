/**
 * Names of one source inode that has several: the first name met carries the object, the others become links to it. Also finds names that
 * are linked on the replica but not on the source. Memory is one record for each inode with a link count over 1 until all its names were met,
 * or to the end where names came or went meanwhile.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

export interface LinkGroup {
  /** the name that carries the object */
  readonly path: RelPath
  /** inode of the replica that stands for the object when it was there and stays; undefined when it is made anew */
  replicaInode: bigint | undefined
  /** resolves when the operations that make the object were handed to the stream */
  readonly sent: Promise<void>
  markSent(): void
}

export class LinkGroups {
  readonly #groups = new Map<bigint, { group: LinkGroup, linkCount: number, remaining: number }>()
  readonly #owners = new Map<bigint, bigint>()

  /** The group when the object was met before under another name; undefined makes `path` its first name. */
  join(source: ListingEntry, path: RelPath): { group: LinkGroup, first: boolean } {
    const known = this.#groups.get(source.inode)
    if (known !== undefined) {
      // names that were met may be gone by now, and nobody knows how many are to come
      if (source.linkCount !== known.linkCount) known.remaining = Infinity
      if (--known.remaining <= 0) this.#groups.delete(source.inode)
      return { group: known.group, first: false }
    }
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const group: LinkGroup = { path, replicaInode: undefined, sent: promise, markSent: () => { resolve(undefined) } }
    this.#groups.set(source.inode, { group, linkCount: source.linkCount, remaining: source.linkCount - 1 })
    return { group, first: true }
  }

  /**
   * Whether the replica's object at this name is shared with names that are other objects on the source: then it must not be written in
   * place. Claims it for this source inode otherwise.
   */
  isForeign(source: ListingEntry, target: ListingEntry): boolean {
    if (target.type === 'directory' || target.linkCount <= 1) return false
    if (source.linkCount <= 1) return true
    const owner = this.#owners.get(target.inode)
    if (owner !== undefined) return owner !== source.inode
    this.#owners.set(target.inode, source.inode)
    return false
  }
}
