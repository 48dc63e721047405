/**
 * Objects with several names in a comparison of the whole volume: whether names that are one object on the source are one on the replica,
 * and no others are. It is told of every pair of names that may be, and says at the end which names must be made anew, and which objects
 * differ in data or metadata alone. What is equal is not sent again.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'

/** Names that are kept at once; objects of which that is too many are made anew. */
const MAX_NAMES = 500_000

interface Object { names: RelPath[], replicas: Set<bigint>, replicaLinkCount: number, differs: boolean, isFile: boolean, linkCount: number }

export interface LinkedDifferences {
  /** to be made anew */
  entries: RelPath[]
  /** the same names on both sides, but something else of the object differs */
  objects: { path: RelPath, inode: bigint, linkCount: number, isFile: boolean }[]
}

export class LinkedNames {
  readonly #objects = new Map<bigint, Object>()
  /** how many names of each object of the replica were met, whatever they are on the source */
  readonly #met = new Map<bigint, number>()
  #names = 0

  /** A name that both sides have, with the same type; `doubtful`: equal attributes say nothing. False: there is no room, and it is the caller's. */
  pair(path: RelPath, ours: ListingEntry, theirs: ListingEntry, doubtful = false): boolean {
    if (this.#names >= MAX_NAMES) return false
    this.#names++
    this.#meet(theirs)
    const object = this.#objects.get(ours.inode) ?? { names: [], replicas: new Set(), replicaLinkCount: theirs.linkCount, differs: false, isFile: ours.type === 'file', linkCount: ours.linkCount }
    this.#objects.set(ours.inode, object)
    object.names.push(path)
    object.replicas.add(theirs.inode)
    object.differs ||= doubtful || !ours.sameRecord(theirs)
    return true
  }

  /** A name of the replica that will be removed, because the source has none there or another object. */
  orphan(theirs: ListingEntry): void {
    if (theirs.linkCount > 1 && this.#names < MAX_NAMES) this.#meet(theirs)
  }

  /** When the walk is over. */
  finish(): LinkedDifferences {
    const owners = new Map<bigint, number>()
    for (const { replicas } of this.#objects.values()) for (const inode of replicas) owners.set(inode, (owners.get(inode) ?? 0) + 1)
    const found: LinkedDifferences = { entries: [], objects: [] }
    for (const [inode, { names, replicas, replicaLinkCount, differs, isFile, linkCount }] of this.#objects) {
      const [path] = names
      const isOne = [...replicas].every(replica => replicas.size === 1 && owners.get(replica) === 1 && this.#met.get(replica) === replicaLinkCount)
      if (!isOne) found.entries.push(...names)
      else if (differs && path !== undefined) found.objects.push({ path, inode, linkCount, isFile })
    }
    return found
  }

  #meet({ inode }: ListingEntry): void {
    this.#met.set(inode, (this.#met.get(inode) ?? 0) + 1)
  }
}
