/**
 * Walks what is on the replica below a name that the source has not, and has go what may: never what the rules leave alone, nor what is too
 * young, nor a directory that still holds such a thing. It remembers nothing but the directories that wait for their turn.
 */
import type { FileOperation } from '../domain/file-operation.ts'
import type { OrphanFate } from '../domain/orphan.ts'
import { childPath, nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'
import { listingEntries, type EntryType, type ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { VolumeRules } from './volume-rules.ts'

/** How something leaves the replica. */
export type Leaving = 'remove' | 'set-aside'

/** Something on the replica that the source has not, or that the rules do not let it have. */
export interface FoundOrphan { path: RelPath, type: EntryType, sizeBytes: number, fate: OrphanFate }

export interface OrphanWalking {
  volume: number
  /** where the replica is listed */
  stream: Pick<OperationStream, 'list'>
  rules: VolumeRules
  /** how orphans go; undefined: they stay */
  orphans: Leaving | undefined
  /** what was modified after this moment stays */
  youngerThanNs?: bigint | undefined
  /** how goes what is outside the rules; left out: it stays */
  outside?: Leaving | undefined
  send: (operation: FileOperation, signal: AbortSignal) => Promise<void>
  /** told of everything that was found; left out: what goes as a whole is not looked into */
  tell?: ((found: FoundOrphan, signal: AbortSignal) => Promise<void>) | undefined
}

/** Directories that are listed with one request. */
const LISTED_AT_ONCE = 256
const LOST_AND_FOUND = Buffer.from('lost+found')

interface Found { path: RelPath, type: EntryType, sizeBytes: number, mtimeNs: bigint }

export class OrphanWalk {
  readonly #of: OrphanWalking

  constructor(of: OrphanWalking) {
    this.#of = of
  }

  /** Tells of entries of a directory of the replica whether the rules leave them alone, whatever the source has. */
  leavesAlone(directory: RelPath): (entry: ListingEntry) => boolean {
    const { rules } = this.#of
    const of = rules.at(directory)
    return of.guards ? entry => rules.leavesAlone(of.place(entry.name, entry.type === 'directory')) : () => false
  }

  /** Whether the rules may leave something alone below a directory. */
  guards(directory: RelPath): boolean {
    return this.#of.rules.at(directory).guards
  }

  /** Deals with an entry that only the replica has; true when it goes, and all that is below it. */
  async entry(directory: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<boolean> {
    const one = found(directory, entry)
    return one !== undefined && await this.#orphan(one, signal)
  }

  /**
   * Has a directory of the replica go that stands where the source has something else, and that must go therefore, with what is in it of
   * any age. False when it holds what must be left alone: then it stays.
   */
  async replaced(directory: RelPath, signal: AbortSignal): Promise<boolean> {
    const { rules, send, orphans = 'remove' } = this.#of
    if (!rules.at(directory).guards) await this.#tellBelow(directory, fateOf(orphans), signal)
    else {
      const all = new OrphanWalk({ ...this.#of, orphans, youngerThanNs: undefined })
      if ((await all.#below(directory, signal)).stay > 0) return false
    }
    await send({ kind: orphans, path: directory }, signal)
    return true
  }

  /** Deals with all that a directory of the replica holds; how much there was, and how much stays. */
  async #below(directory: RelPath, signal: AbortSignal): Promise<{ had: number, stay: number }> {
    const directories: Found[] = []
    let had = 0
    let stay = 0
    for await (const { page } of this.#of.stream.list(this.#of.volume, [directory], signal)) {
      for (const entry of listingEntries(page)) {
        had++
        const one = found(directory, entry)
        // it cannot be addressed: only what is above it can go, as a whole
        if (one === undefined) {
          stay++
          continue
        }
        // later: a listing that waits while others are asked for would hold a place among the requests
        if (one.type === 'directory') directories.push(one)
        else if (!await this.#orphan(one, signal)) stay++
      }
    }
    for (const one of directories) if (!await this.#orphan(one, signal)) stay++
    return { had, stay }
  }

  async #orphan(one: Found, signal: AbortSignal): Promise<boolean> {
    const { rules, orphans, outside, youngerThanNs } = this.#of
    const directory = parentOf(one.path)
    const name = nameOf(one.path)
    if (isLostAndFound(directory, name, one.type)) return false
    if (rules.leavesAlone(rules.at(directory).place(name, one.type === 'directory'))) return await this.#whole(one, outside, 'outside', signal)
    const old = youngerThanNs === undefined || one.mtimeNs <= youngerThanNs
    if (one.type !== 'directory') return await this.#end(one, old ? orphans : undefined, 'kept', signal)
    if (youngerThanNs === undefined && !rules.at(one.path).guards) return await this.#whole(one, orphans, 'kept', signal)
    const { had, stay } = await this.#below(one.path, signal)
    return await this.#end(one, stay === 0 && (had > 0 || old) ? orphans : undefined, 'kept', signal)
  }

  /** All that is below shares the fate. */
  async #whole(one: Found, leaving: Leaving | undefined, staying: OrphanFate, signal: AbortSignal): Promise<boolean> {
    if (one.type === 'directory') await this.#tellBelow(one.path, leaving === undefined ? staying : fateOf(leaving), signal)
    return await this.#end(one, leaving, staying, signal)
  }

  async #end(one: Found, leaving: Leaving | undefined, staying: OrphanFate, signal: AbortSignal): Promise<boolean> {
    const { path, type, sizeBytes } = one
    await this.#of.tell?.({ path, type, sizeBytes, fate: leaving === undefined ? staying : fateOf(leaving) }, signal)
    if (leaving === undefined) return false
    await this.#of.send({ kind: leaving, path }, signal)
    return true
  }

  async #tellBelow(directory: RelPath, fate: OrphanFate, signal: AbortSignal): Promise<void> {
    const { stream, volume, tell } = this.#of
    if (tell === undefined) return
    const pending: RelPath[] = [directory]
    while (pending.length > 0) {
      const asked = pending.splice(-LISTED_AT_ONCE)
      for await (const { directory: number, page } of stream.list(volume, asked, signal)) {
        for (const entry of listingEntries(page)) {
          const path = childPath(asked[number] ?? directory, entry.name)
          if (path === undefined) continue
          await tell({ path, type: entry.type, sizeBytes: entry.sizeBytes, fate }, signal)
          if (entry.type === 'directory') pending.push(path)
        }
      }
    }
  }

  /**
   * Has names of the replica go of which the source no longer has what the replica has, whatever that is, as far as the rules do not leave
   * it alone. Answers what stays, by position. `applied` sees to it that listings tell all that was sent.
   */
  async names(paths: readonly RelPath[], applied: () => Promise<void>, signal: AbortSignal): Promise<ReadonlyMap<number, 'directory' | 'other'>> {
    const { rules, send } = this.#of
    const stay = new Map<number, 'directory' | 'other'>()
    const unclear: number[] = []
    for (const [at, path] of paths.entries()) {
      if (!rules.leavesAlone(rules.placeOf(path, false)) && !rules.leavesAlone(rules.placeOf(path, true)) && !rules.at(path).guards) await send({ kind: 'remove', path }, signal)
      else unclear.push(at)
    }
    if (unclear.length > 0) await applied()
    for (let from = 0; from < unclear.length; from += LISTED_AT_ONCE) {
      const part = unclear.slice(from, from + LISTED_AT_ONCE)
      const filled = await this.#filled(part.map(at => paths[at]).filter(path => path !== undefined), signal)
      for (const [i, at] of part.entries()) {
        const path = paths[at]
        const left = path === undefined ? undefined : await this.#name(path, filled.has(i), signal)
        if (left !== undefined) stay.set(at, left)
      }
    }
    return stay
  }

  /** Deals with one name; `filled`: it is a directory of the replica, not empty. */
  async #name(path: RelPath, filled: boolean, signal: AbortSignal): Promise<'directory' | 'other' | undefined> {
    const { rules, send } = this.#of
    const asFile = rules.leavesAlone(rules.placeOf(path, false))
    const asDirectory = rules.leavesAlone(rules.placeOf(path, true))
    if (filled) {
      if (asDirectory || (await this.#below(path, signal)).stay > 0) return 'directory'
    } else if (asFile || asDirectory) {
      const type = await this.#typeOf(path, signal)
      if (type === undefined) return undefined
      if (type === 'directory' ? asDirectory : asFile) return type === 'directory' ? 'directory' : 'other'
    }
    await send({ kind: 'remove', path }, signal)
    return undefined
  }

  /** Which of the directories hold something, by position. */
  async #filled(paths: readonly RelPath[], signal: AbortSignal): Promise<ReadonlySet<number>> {
    const filled = new Set<number>()
    for await (const { directory, page } of this.#of.stream.list(this.#of.volume, paths, signal)) if (page.length > 0) filled.add(directory)
    return filled
  }

  async #typeOf(path: RelPath, signal: AbortSignal): Promise<EntryType | undefined> {
    const name = nameOf(path)
    for await (const { page } of this.#of.stream.list(this.#of.volume, [parentOf(path)], signal)) {
      for (const entry of listingEntries(page)) if (entry.name.equals(name)) return entry.type
    }
    return undefined
  }
}

/** Undefined when its path is longer than can be addressed. */
function found(directory: RelPath, entry: ListingEntry): Found | undefined {
  const path = childPath(directory, entry.name)
  return path === undefined ? undefined : { path, type: entry.type, sizeBytes: entry.sizeBytes, mtimeNs: entry.mtimeNs }
}

function fateOf(leaving: Leaving): OrphanFate {
  return leaving === 'remove' ? 'removed' : 'moved'
}

/** Whether an entry that only the replica has is an orphan under the rules. */
export function isOrphan(rules: VolumeRules, directory: RelPath, { name, type }: ListingEntry): boolean {
  return !isLostAndFound(directory, name, type) && !rules.leavesAlone(rules.at(directory).place(name, type === 'directory'))
}

/** It belongs to the file system, not to the copy. */
function isLostAndFound(directory: RelPath, name: Buffer, type: EntryType): boolean {
  return directory.length === 0 && type === 'directory' && name.equals(LOST_AND_FOUND)
}
