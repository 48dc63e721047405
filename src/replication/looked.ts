/**
 * Which paths of a volume one cycle has sent something for, so that the next one knows of which moves the replica may have another object
 * than the source had.
 *
 * The argument. The replica is state: what it has at a path is what the source had there at the last look. An object that left a name in
 * this period, and had it when the period began, is at that name on the replica, unless
 *  - nothing is known of what was looked at before (the first cycle, one after a cycle that failed, after a walk, after a rescan): `doubt`;
 *  - the name, or a directory above it, waits to be looked at again, because it could not be brought over: `comesBack`;
 *  - it has several names, which the last cycle did not make one on the replica: `isAnew`, or links that are not settled; the same for a
 *    directory that left early, in which such a name may be;
 *  - the replica refused for ever what the source has there, or below, or above (volume-cycles.ts keeps these);
 *  - it left early, that is while the last cycle looked: that look may have met what came into its place, or may have missed it. Marks by
 *    identity that may have been missed are the capture's to know (moves.rs); that something was sent for a path at or below the name,
 *    or for all that is below a directory above it, is known here: `met`.
 * What leaves after the last cycle's looks (the usual case) was at its place in all of them, directories above it included. Content that
 * is to be looked at again does not matter for the move: it is looked at under the new path afterwards (`returnedBelow`).
 * What is not moved is removed and sent again, which is always right.
 */
import type { Change } from '../capture/change-source.ts'
import { joinRelPath, parentOf, type RelPath } from '../domain/rel-path.ts'
import { keyOf } from './path-key.ts'

type PathChange = Extract<Change, { path: RelPath }>

/** Paths that are remembered; past it nothing is certain in the next cycle. */
const MAX_PATHS = 200_000

export class Looked {
  readonly #sent = new Set<string>()
  /** of these, with all that is below */
  readonly #whole = new Set<string>()
  readonly #returned = new Map<string, PathChange>()
  readonly #anew = new Set<bigint>()
  #inOrder: readonly string[] | undefined
  #doubt = false

  /** Nothing is certain. */
  doubt(): void {
    this.#doubt = true
    this.#sent.clear()
    this.#whole.clear()
    this.#returned.clear()
    this.#anew.clear()
  }

  get isDoubted(): boolean { return this.#doubt }

  /** Something about the object at path was, or will be, sent. */
  path(path: RelPath): void {
    if (this.#doubt) return
    this.#sent.add(keyOf(path))
    if (this.#sent.size + this.#returned.size > MAX_PATHS) this.doubt()
  }

  /** What has this name was, or will be, sent with all that is below it. */
  whole(path: RelPath): void {
    this.path(path)
    if (!this.#doubt) this.#whole.add(keyOf(path))
  }

  /** The object was sent anew under one of its names: others may stand for an older copy yet. */
  anew(inode: bigint): void {
    this.#anew.add(inode)
    if (this.#anew.size > MAX_PATHS) this.doubt()
  }

  isAnew(inode: bigint): boolean {
    return this.#anew.has(inode)
  }

  get hasAnew(): boolean { return this.#anew.size > 0 }

  /** A change that is to be looked at again. */
  returned(change: PathChange): void {
    const before = this.#returned.get(keyOf(change.path))
    if (!this.#doubt && before?.kind !== 'entry') this.#returned.set(keyOf(change.path), change)
    if (this.#sent.size + this.#returned.size > MAX_PATHS) this.doubt()
  }

  /** Whether the name, or a directory above it, is to be looked at again. */
  comesBack(path: RelPath): boolean {
    return this.#returned.size > 0 && isAtOrAbove(path, key => this.#returned.get(key)?.kind === 'entry')
  }

  /** Whether something was sent for the object at path, or with all that is below a directory above it, or (for a directory) below it. */
  met(path: RelPath, isDirectory: boolean): boolean {
    if (this.#sent.has(keyOf(path)) || isAtOrAbove(path, key => this.#whole.has(key))) return true
    return isDirectory && firstBelow(this.#sorted(), keyOf(path)) !== undefined
  }

  /** Whether content of the object at path is to be looked at again. */
  contentComesBack(path: RelPath): boolean {
    return this.#returned.has(keyOf(path))
  }

  /** What is to be looked at again below a directory, under the path that the directory has now. */
  returnedBelow(from: RelPath, to: RelPath): PathChange[] {
    const prefix = keyOf(from)
    const below: PathChange[] = []
    for (const [key, change] of this.#returned) {
      if (!key.startsWith(`${prefix}/`)) continue
      const { kind, volume, atMs } = change
      // which object it was is left out: what the path names now is looked at
      below.push({ kind, volume, atMs, path: joinBelow(to, change.path.subarray(from.length + 1)) })
    }
    return below
  }

  #sorted(): readonly string[] {
    this.#inOrder ??= [...this.#sent].sort()
    return this.#inOrder
  }
}

function joinBelow(directory: RelPath, rest: Buffer): RelPath {
  let path = directory
  for (let start = 0; start <= rest.length;) {
    const end = rest.indexOf(0x2f, start)
    path = joinRelPath(path, rest.subarray(start, end < 0 ? rest.length : end))
    if (end < 0) break
    start = end + 1
  }
  return path
}

function isAtOrAbove(path: RelPath, is: (key: string) => boolean): boolean {
  for (let at = path; at.length > 0; at = parentOf(at)) if (is(keyOf(at))) return true
  return false
}

function firstBelow(sorted: readonly string[], directory: string): string | undefined {
  const prefix = `${directory}/`
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >> 1
    if ((sorted[middle] ?? '') < prefix) from = middle + 1
    else to = middle
  }
  const found = sorted[from]
  return found?.startsWith(prefix) === true ? found : undefined
}
