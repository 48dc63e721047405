/**
 * Which names of a volume are one object. The replica must have the same groups, and it is only told about names: so the names of objects
 * with several links are remembered (as hints, verified on the source before each use), and what is missing is found by a walk.
 */
import type { RelPath } from '../domain/rel-path.ts'
import { keyOf, pathOfKey } from './path-key.ts'

/** Remembered names at most; past it all are forgotten, and walks find again what is needed. About 60 MiB. */
const MAX_NAMES = 250_000

export class LinkGroups {
  #names = new Map<bigint, Set<string>>()
  #inodes = new Map<string, bigint>()
  /** names of this cycle for which the replica has nothing yet */
  #fresh = new Map<bigint, Set<string>>()
  /** objects whose names on the replica are not known to be one */
  readonly #unsettled = new Set<bigint>()
  /** objects that the replica lacks, though it should have them */
  readonly #distrusted = new Set<bigint>()

  /** Remembers that path was a name of the object. */
  note(inode: bigint, path: RelPath): void {
    const key = keyOf(path)
    const before = this.#inodes.get(key)
    if (before === inode) return
    if (before !== undefined) this.#names.get(before)?.delete(key)
    if (this.#inodes.size >= MAX_NAMES) {
      this.#names = new Map()
      this.#inodes = new Map()
    }
    this.#inodes.set(key, inode)
    const names = this.#names.get(inode)
    if (names === undefined) this.#names.set(inode, new Set([key]))
    else names.add(key)
  }

  /** Directories have moved: the names below them have other paths. */
  moved(directories: readonly { from: RelPath, path: RelPath }[]): void {
    if (directories.length === 0 || this.#inodes.size === 0) return
    const to = new Map(directories.map(({ from, path }) => [keyOf(from), keyOf(path)]))
    const renamed: [string, bigint, string][] = []
    for (const [key, inode] of this.#inodes) {
      for (let at = key.lastIndexOf('/'); at > 0; at = key.lastIndexOf('/', at - 1)) {
        const now = to.get(key.slice(0, at))
        if (now === undefined) continue
        renamed.push([key, inode, now + key.slice(at)])
        break
      }
    }
    for (const [key, inode] of renamed) {
      this.#inodes.delete(key)
      this.#names.get(inode)?.delete(key)
    }
    for (const [, inode, now] of renamed) this.note(inode, pathOfKey(now))
  }

  /** The object has a name at which the replica has nothing: `settle` gives it one. */
  addFresh(inode: bigint, path: RelPath): void {
    this.note(inode, path)
    const fresh = this.#fresh.get(inode)
    if (fresh === undefined) this.#fresh.set(inode, new Set([keyOf(path)]))
    else fresh.add(keyOf(path))
  }

  isFresh(inode: bigint, path: RelPath): boolean {
    return this.#fresh.get(inode)?.has(keyOf(path)) ?? false
  }

  hasFresh(inode: bigint): boolean {
    return this.#fresh.has(inode)
  }

  /** Names that the object had when it was looked at last. */
  namesOf(inode: bigint): RelPath[] {
    return Array.from(new Set([...this.#names.get(inode) ?? [], ...this.#fresh.get(inode) ?? []]), pathOfKey)
  }

  /** Objects that need settling: new names, or names that could not be settled before. */
  open(): bigint[] {
    return [...new Set([...this.#fresh.keys(), ...this.#unsettled])]
  }

  /** The replica has the object under none of its names, or not as it should be. */
  isDistrusted(inode: bigint): boolean {
    return this.#distrusted.has(inode)
  }

  /** Its names on the replica are not known to be one. */
  isUnsettled(inode: bigint): boolean {
    return this.#unsettled.has(inode)
  }

  /** The replica refused to link path: what it was to be linked to is not there. */
  distrust(path: RelPath): void {
    const inode = this.#inodes.get(keyOf(path))
    if (inode !== undefined) this.#distrusted.add(inode)
  }

  /** Its names are being made one on the replica: they are not until `settled`, which a cycle that ends half way does not come to. */
  settling(inode: bigint): void {
    this.#fresh.delete(inode)
    this.#unsettled.add(inode)
  }

  /** All names of the object that count are one on the replica now, or `later` must be seen to. */
  settled(inode: bigint, later: boolean): void {
    this.#fresh.delete(inode)
    this.#distrusted.delete(inode)
    if (later) this.#unsettled.add(inode)
    else this.#unsettled.delete(inode)
  }

  /** One name of each object that still waits, for whoever goes on after this one. */
  unsettledNames(): RelPath[] {
    return this.open().flatMap(inode => this.namesOf(inode).slice(0, 1))
  }

  /** A cycle that ended half way: its new names come again with its changes. */
  forgetFresh(): void {
    this.#fresh = new Map()
  }
}
