/**
 * Mirrors a group of directories of one volume: asks the replica for their listings at once, sends what differs, then links, then the
 * directories' own metadata (making entries changes a directory's times). Gives the subdirectories to go on with.
 */
import { isAppError } from '../errors/app-error.ts'
import { childPath, parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import { inTheWay } from '../tree/in-the-way.ts'
import type { OrphanWalk } from '../tree/orphan-walk.ts'
import type { WholeDirectory } from '../tree/source-tree.ts'
import { listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import type { MirrorRequest } from '../wire/messages.ts'
import { encodeOperation } from '../wire/operation-codec.ts'
import type { Arrivals } from './arrivals.ts'
import { joinListings, judge, type Pair, type Verdict } from './compare.ts'
import type { EdgeLinks } from './edge-links.ts'
import { tooLongBelow, unreadable } from './findings.ts'
import { GroupListings, NOTHING, readToEnd } from './group-listings.ts'
import type { LinkGroup, LinkGroups } from './link-groups.ts'
import type { Orphans } from './orphans.ts'
import { keyOfFailure } from './refusals.ts'
import { EntrySender, READ_OPTIONS, type VolumeSending } from './send-entries.ts'

/** A directory to mirror; fresh: the replica had nothing there, so nothing needs to be asked. */
export interface PendingDirectory { path: RelPath, fresh: boolean }

export interface VolumeMirror extends VolumeSending {
  request: MirrorRequest
  links: LinkGroups
  /** what an interrupted mirror has left on the replica, when it is known */
  arrivals: Arrivals | undefined
  /** what was in the way in an earlier round and must go first, as keys of `refusals.ts` */
  inTheWay: ReadonlySet<string>
  orphans: Orphans
  /** where rules leave names out; else undefined */
  edges: EdgeLinks | undefined
}

const NONE = Buffer.alloc(0)
/** of an entry that the source could not look at */
const UNKNOWN_INODE = 0n
/** A file up to this size is sent whole when it differs: cheaper than to ask which of its blocks do. */
const WHOLE_BYTES = 256 * 1024
/** Files whose blocks are compared at the same time. */
const COMPARED_AT_ONCE = 16

interface LinkToMake { entry: ListingEntry, path: RelPath, target: ListingEntry | undefined, group: LinkGroup }

/** One group's work; used once. */
export class GroupMirror {
  readonly #mirror: VolumeMirror
  readonly #entries: EntrySender
  readonly #orphans: OrphanWalk
  readonly #children: PendingDirectory[] = []
  readonly #links: LinkToMake[] = []
  readonly #made: LinkGroup[] = []

  constructor(mirror: VolumeMirror) {
    this.#mirror = mirror
    this.#entries = new EntrySender(mirror)
    this.#orphans = mirror.orphans.walk(async (operation, signal) => { await this.#entries.add(encodeOperation(operation), signal) })
  }

  /** @throws {AppError} LINK_LOST; abort stops between batches */
  async run(directories: readonly PendingDirectory[], signal: AbortSignal): Promise<readonly PendingDirectory[]> {
    const { stream, tree, volume } = this.#mirror
    try {
      const asked = await this.#passUnchanged(directories.filter(d => !d.fresh).map(d => d.path), signal)
      const listings = new GroupListings(asked.length === 0 ? NOTHING : stream.list(volume, asked, signal))
      const own = new GroupListings(tree.listAll(asked, signal))
      for (const path of asked) await this.#mirrorDirectory(path, own.next(), listings.next(), signal)
      await this.#mirrorFresh(directories.filter(d => d.fresh).map(d => d.path), signal)
      await this.#entries.flush(signal)
    } finally {
      // also when this group fails: others must not wait for ever
      for (const group of this.#made) group.markSent()
    }
    await this.#makeLinks(signal)
    await this.#entries.finishDirectories(signal)
    await this.#doubtLinks(signal)
    return this.#children
  }

  /**
   * Passes by the directories that hold exactly what the replica's hold, and gives the others. Where attributes are compared a digest of them
   * says it all, so that what did not change costs next to nothing on the wire and no look at each entry here.
   */
  async #passUnchanged(paths: readonly RelPath[], signal: AbortSignal): Promise<readonly RelPath[]> {
    const { request, arrivals, tree, stream, volume, tally } = this.#mirror
    if (request.compare !== 'attributes' || arrivals !== undefined || paths.length === 0) return paths
    const digested = await tree.digest(paths, signal)
    const asked = paths.flatMap((path, i) => { const digest = digested[i]?.digest; return digest === undefined ? [] : [{ path, digest }] })
    const same = asked.length === 0 ? NONE : await stream.same(volume, asked, signal)
    let at = 0
    return paths.filter((path, i) => {
      const own = digested[i]
      if (own?.digest === undefined || same[at++] !== 1) return true
      const below = own.subdirectories.map(name => childPath(path, name))
      if (below.includes(undefined)) return true
      for (const child of below) if (child !== undefined) this.#children.push({ path: child, fresh: false })
      tally.unchanged(own.count)
      return false
    })
  }

  async #mirrorDirectory(path: RelPath, ours: AsyncIterable<ListingPage>, theirs: AsyncIterable<ListingPage>, signal: AbortSignal): Promise<void> {
    try {
      for await (const pairs of joinListings(ours, theirs)) {
        await this.#mirrorPairs(path, pairs, signal)
        this.#mirror.tally.tell()
      }
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
      // what the replica has there stays: nobody knows whether the source has it too
      this.#mirror.tally.finding(unreadable(path, error.message))
      await readToEnd(theirs)
    }
  }

  /** Directories of which the replica has nothing: there is nothing to compare, and they are read many at a time. */
  async #mirrorFresh(paths: readonly RelPath[], signal: AbortSignal): Promise<void> {
    const { tree, tally } = this.#mirror
    for (let at = 0; at < paths.length;) {
      const rest = paths.slice(at)
      const { batch, directories, findings } = await tree.readDirectories(rest, READ_OPTIONS, signal)
      await this.#entries.add(batch, signal)
      tally.finding(...findings)
      for (const [i, directory] of directories.entries()) await this.#mirrorLeft(rest[i] ?? ROOT_PATH, directory, signal)
      const [first] = rest
      if (directories.length === 0 && first !== undefined) await this.#mirrorDirectory(first, tree.list(first, signal), NOTHING, signal)
      tally.tell()
      at += Math.max(1, directories.length)
    }
  }

  /** Counts what was made of a directory, and mirrors what was left of it. */
  async #mirrorLeft(path: RelPath, { page, left, made, settled }: WholeDirectory, signal: AbortSignal): Promise<void> {
    this.#mirror.tally.made(made)
    const pairs: Pair[] = []
    let index = 0
    let tooLong = 0
    for (const source of listingEntries(page)) {
      if (left[pairs.length] === index++) {
        pairs.push({ source, target: undefined })
        continue
      }
      const child = childPath(path, source.name)
      if (child === undefined) {
        tooLong++
        continue
      }
      if (source.type === 'directory') this.#children.push({ path: child, fresh: true })
    }
    if (tooLong > 0) this.#mirror.tally.finding(tooLongBelow(path, tooLong))
    if (!settled) this.#entries.touched.add(path)
    if (pairs.length > 0) await this.#mirrorPairs(path, pairs, signal)
  }

  async #mirrorPairs(directory: RelPath, pairs: readonly Pair[], signal: AbortSignal): Promise<void> {
    const { tally } = this.#mirror
    const whole: Pair[] = []
    const compared: { pair: Pair, verdict: Verdict }[] = []
    const leavesAlone = this.#orphans.leavesAlone(directory)
    let tooLong = 0
    for (const pair of pairs) {
      const { source } = pair
      const name = (source ?? pair.target)?.name
      const path = name === undefined ? undefined : childPath(directory, name)
      if (path === undefined) {
        tooLong++
        continue
      }
      if (source?.inode === UNKNOWN_INODE) {
        // what the replica has there stays
        tally.found(source)
        whole.push(pair)
        continue
      }
      const target = await this.#replaceable(directory, path, pair, leavesAlone, signal)
      if (source === undefined) continue
      tally.found(source)
      if (target === 'stays') {
        tally.skipped(source)
        tally.finding(inTheWay(path))
        continue
      }
      const verdict = this.#verdict(source, target, path)
      if (verdict === undefined) continue
      if (source.type === 'directory') this.#children.push({ path, fresh: verdict === 'create' || verdict === 'replace' })
      switch (verdict) {
        case 'same': tally.skipped(source); break
        case 'metadata': await this.#entries.sendMetadata(path, source, signal); break
        case 'verify': compared.push({ pair, verdict }); break
        case 'content':
          if (source.sizeBytes > WHOLE_BYTES) compared.push({ pair, verdict })
          else whole.push(pair)
          break
        case 'replace': await this.#entries.remove(directory, source.name, signal); whole.push(pair); break
        case 'create': whole.push(pair); break
      }
    }
    if (tooLong > 0) tally.finding(tooLongBelow(directory, tooLong))
    if (whole.length > 0) await this.#entries.sendEntries(directory, whole, signal)
    for (let at = 0; at < compared.length; at += COMPARED_AT_ONCE) {
      await Promise.all(compared.slice(at, at + COMPARED_AT_ONCE).map(async c => { await this.#entries.sendCompared(directory, c.pair, c.verdict, signal) }))
    }
  }

  /** A directory that holds what the rules leave alone cannot be made anew. */
  #mustGo(path: RelPath, target: ListingEntry): boolean {
    const { inTheWay, volume } = this.#mirror
    if (inTheWay.size === 0 || !inTheWay.has(keyOfFailure({ volume, path: path.toString('base64') }))) return false
    return target.type !== 'directory' || !this.#orphans.guards(path)
  }

  /** What the replica has under the name, when it may be changed or replaced in place: orphans, and directories that must make way, are dealt with. */
  async #replaceable(directory: RelPath, path: RelPath, { source, target }: Pair, leavesAlone: (target: ListingEntry) => boolean, signal: AbortSignal): Promise<ListingEntry | 'stays' | undefined> {
    if (target === undefined) return undefined
    let goes: boolean
    if (source === undefined || leavesAlone(target)) goes = await this.#orphans.entry(directory, target, signal)
    else if (target.type === 'directory' && source.type !== 'directory') goes = await this.#orphans.replaced(path, signal)
    else return target
    if (goes) this.#entries.touched.add(directory)
    return goes ? undefined : 'stays'
  }

  /**
   * The verdict about one name. An object of the replica that may have names that the rules leave alone is not written in place; nor is one with several names written anew: all
   * of them would get its new size and times, and behind an interruption those that are other objects on the source be taken for equal.
   */
  #judge(source: ListingEntry, target: ListingEntry | undefined, path: RelPath, foreign: boolean): Verdict {
    const { request, arrivals, edges } = this.#mirror
    if (foreign) return 'replace'
    const verdict = judge(source, target, request.compare, arrivals)
    if (verdict === 'content' && target !== undefined && target.linkCount > 1) return 'replace'
    if (edges === undefined || target === undefined || target.type === 'directory' || target.linkCount < 2) return verdict
    if (verdict === 'same') edges.note(target, path)
    return verdict === 'metadata' || verdict === 'verify' ? 'replace' : verdict
  }

  /** The verdict, or undefined when the entry is a further name of an object and is dealt with as a link. */
  #verdict(source: ListingEntry, target: ListingEntry | undefined, path: RelPath): Verdict | undefined {
    const { links } = this.#mirror
    const foreign = target !== undefined && (links.isForeign(source, target) || this.#mustGo(path, target))
    const linked = source.type !== 'directory' && source.linkCount > 1
    if (!linked) return this.#judge(source, target, path, foreign)
    const { group, first } = links.join(source, path)
    if (!first) {
      this.#links.push({ entry: source, path, target, group })
      return undefined
    }
    const verdict = this.#judge(source, target, path, foreign)
    if (verdict !== 'create' && verdict !== 'replace') group.replicaInode = target?.inode
    this.#made.push(group)
    return verdict
  }

  async #makeLinks(signal: AbortSignal): Promise<void> {
    for (const { entry, path, target, group } of this.#links) {
      await group.sent
      if (target !== undefined && group.replicaInode === target.inode) {
        this.#mirror.edges?.note(target, path)
        this.#mirror.tally.skipped(entry)
        continue
      }
      await this.#entries.add(encodeOperation({ kind: 'link', path, existing: group.path }), signal)
      this.#entries.touched.add(parentOf(path))
      this.#mirror.tally.done(entry)
    }
  }

  /**
   * Has the names looked at again of which the carrier may have been another object when they were linked to it, or taken for linked: it is
   * one on the source by now (should it have been one for a while only, it is marked), or replication has replaced it. All links are on their way.
   */
  async #doubtLinks(signal: AbortSignal): Promise<void> {
    const { front, tree, volume } = this.#mirror
    const carried = new Map<LinkGroup, bigint | undefined>()
    for (const { entry, path, group } of this.#links) {
      if (!carried.has(group)) carried.set(group, inodeOf(await tree.look(group.path, signal)))
      if (carried.get(group) !== entry.inode || front.wasReplaced(volume, group.path)) front.lookAgain(volume, path)
    }
  }
}

function inodeOf(page: ListingPage | undefined): bigint | undefined {
  const [entry] = page === undefined ? [] : [...listingEntries(page)]
  return entry?.inode
}
