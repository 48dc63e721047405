/**
 * Moves on the replica, within one cycle. What has left its name on the source, and is known to be at that name on the replica (looked.ts
 * tells when), goes into the limbo first, the deepest first, so that every path is still what it was; then the names are looked at as
 * always, and where one turns out to be an object that is in the limbo, it is moved there instead of being sent. What nobody claims is
 * removed with the limbo. So chains, swaps, a directory moved into one that is new, or into what was below it, need no order of their own,
 * and nothing is ever overwritten that another move needs. A directory moves with all it holds: what changed in it is marked by itself.
 *
 * A move that the replica refuses needs no memory: the metadata that follows it is refused, too, and has the object sent whole.
 */
import type { Move } from '../capture/change-source.ts'
import type { FileMetadata } from '../domain/file-operation.ts'
import { LIMBO } from '../domain/limbo.ts'
import { joinRelPath, parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import type { LinkGroups } from './link-groups.ts'
import type { Looked } from './looked.ts'
import type { OperationSender } from './operation-sender.ts'
import { keyOf } from './path-key.ts'

export interface Placed { from: RelPath, path: RelPath, inode: bigint, linkCount: number, isDirectory: boolean, isFile: boolean }

interface Held { at: RelPath, move: Move }

/** nobody but root, on the replica, for the moment that it is there */
const LIMBO_METADATA: FileMetadata = { mode: 0o700, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 0n, atimeNs: 0n, xattrs: [] }

export interface MovingOptions {
  rules: VolumeRules
  sender: OperationSender
  links: LinkGroups
}

export class Moving {
  readonly #of: MovingOptions
  readonly #held = new Map<bigint, Held>()
  #used = false
  readonly placed: Placed[] = []

  constructor(of: MovingOptions) {
    this.#of = of
  }

  /** Has these objects go into the limbo. Everything sent before must be applied. @throws {AppError} LINK_LOST */
  async begin(moves: readonly Move[], signal: AbortSignal): Promise<void> {
    const { sender } = this.#of
    for (const move of moves.toSorted((a, b) => depth(b.from) - depth(a.from))) {
      if (!this.#used) await sender.operation({ kind: 'directory', path: LIMBO, metadata: LIMBO_METADATA }, signal)
      this.#used = true
      const at = joinRelPath(LIMBO, Buffer.from(String(this.#held.size)))
      await sender.operation({ kind: 'rename', path: move.from, to: at }, signal)
      this.#held.set(move.inode, { at, move })
    }
  }

  /** Moves what was found at path there, when the limbo has it; false when it has not, or the rules want something else of it. @throws {AppError} LINK_LOST */
  async place(path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<boolean> {
    const held = this.#held.get(entry.inode)
    const isDirectory = entry.type === 'directory'
    if (held === undefined || held.move.isDirectory !== isDirectory || (isDirectory && !isWhole(this.#of.rules, path))) return false
    this.#held.delete(entry.inode)
    await this.#of.sender.operation({ kind: 'rename', path: held.at, to: path }, signal)
    if (!isDirectory && entry.linkCount > 1) this.#of.links.note(entry.inode, path)
    this.placed.push({ from: held.move.from, path, inode: entry.inode, linkCount: entry.linkCount, isDirectory, isFile: entry.type === 'file' })
    return true
  }

  /** Removes what nobody claimed. True when the root of the replica was touched. @throws {AppError} LINK_LOST */
  async end(signal: AbortSignal): Promise<boolean> {
    if (!this.#used) return false
    await this.#of.sender.operation({ kind: 'remove', path: LIMBO }, signal)
    this.#used = false
    this.#held.clear()
    this.#of.links.moved(this.placed.filter(({ isDirectory }) => isDirectory))
    return true
  }
}

/** Of these, the moves of which it is certain that the replica has that object at the old path, and may move it with all it holds. Pure. */
export function certainMoves(moves: readonly Move[], of: { before: Looked, rules: VolumeRules, links: LinkGroups, refused: ReadonlySet<string> }): Move[] {
  const { before, rules, links, refused } = of
  if (before.isDoubted) return []
  return moves.filter(({ from, inode, isDirectory, early }) => {
    if (from.length === 0 || links.isDistrusted(inode) || links.isUnsettled(inode) || before.isAnew(inode) || before.comesBack(from) || (early && (before.met(from, isDirectory) || (isDirectory && before.hasAnew)))) return false
    if (rules.placeOf(from, isDirectory) !== 'inside' || (isDirectory && !isWhole(rules, from))) return false
    return !isRefused(keyOf(from), refused)
  })
}

function isRefused(key: string, refused: ReadonlySet<string>): boolean {
  // '' stands for everything
  for (const other of refused) if (other === '' || other === key || other.startsWith(`${key}/`) || key.startsWith(`${other}/`)) return true
  return false
}

/** Everything below the directory belongs to the replica, and nothing there must be left alone. */
function isWhole(rules: VolumeRules, directory: RelPath): boolean {
  const { reach, guards } = rules.at(directory)
  return reach === 'all' && !guards
}

function depth(path: RelPath): number {
  let steps = 0
  for (let at = path; at.length > 0; at = parentOf(at)) steps++
  return steps
}

/** What of a cycle's names was sent whole, and what was moved: by the nearest of them a path is covered, or not. */
export class Coverage {
  readonly #how = new Map<string, 'whole' | 'moved'>()

  set(path: RelPath, how: 'whole' | 'moved'): void {
    this.#how.set(keyOf(path), how)
  }

  /** The path itself, or the nearest name above it, was sent whole. */
  covers(path: RelPath): boolean {
    for (let at = path; ; at = parentOf(at)) {
      const how = this.#how.get(keyOf(at))
      if (how !== undefined) return how === 'whole'
      if (at.equals(ROOT_PATH)) return false
    }
  }
}
