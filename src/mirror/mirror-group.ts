/**
 * Mirrors a group of directories of one volume: asks the replica for their listings at once, sends what differs, then links, then the
 * directories' own metadata (making entries changes a directory's times). Gives the subdirectories to go on with.
 */
import type { Finding } from '../domain/finding.ts'
import { isAppError } from '../errors/app-error.ts'
import { display, joinRelPath, parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { SourceTree, WholeDirectory } from '../tree/source-tree.ts'
import { listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import type { MirrorRequest } from '../wire/messages.ts'
import { encodeOperation } from '../wire/operation-codec.ts'
import type { OperationStream, ReplicaListing } from '../wire/operation-stream.ts'
import { BatchSender } from './batch-sender.ts'
import { joinListings, judge, type Pair, type Verdict } from './compare.ts'
import type { LinkGroup, LinkGroups } from './link-groups.ts'
import { isOrphan } from './orphans.ts'
import { sendDifference, sendWhole, type Difference, type FileSending } from './send-file.ts'
import type { Tally } from './tally.ts'

/** A directory to mirror; fresh: the replica had nothing there, so nothing needs to be asked. */
export interface PendingDirectory { path: RelPath, fresh: boolean }

export interface VolumeMirror { volume: number, tree: SourceTree, stream: OperationStream, request: MirrorRequest, links: LinkGroups, tally: Tally }

/** Regular files up to this size travel in one operation. */
const SMALL_FILE_BYTES = 256 * 1024
const BATCH_BYTES = 1024 * 1024
const READ_OPTIONS = { smallFileBytes: SMALL_FILE_BYTES, maxBatchBytes: BATCH_BYTES }
/** Files whose blocks are compared at the same time. */
const COMPARED_AT_ONCE = 16

interface LinkToMake { entry: ListingEntry, path: RelPath, target: ListingEntry | undefined, group: LinkGroup }

/** One group's work; used once. */
export class GroupMirror {
  readonly #mirror: VolumeMirror
  readonly #sender: BatchSender
  readonly #children: PendingDirectory[] = []
  readonly #links: LinkToMake[] = []
  readonly #made: LinkGroup[] = []
  readonly #touched = new Set<RelPath>()

  constructor(mirror: VolumeMirror) {
    this.#mirror = mirror
    this.#sender = new BatchSender(mirror.stream, mirror.volume)
  }

  /** @throws {AppError} LINK_LOST; abort stops between batches */
  async run(directories: readonly PendingDirectory[], signal: AbortSignal): Promise<readonly PendingDirectory[]> {
    const { stream, tree, volume } = this.#mirror
    try {
      const asked = directories.filter(d => !d.fresh).map(d => d.path)
      const listings = new GroupListings(asked.length === 0 ? NOTHING : stream.list(volume, asked, signal))
      const own = new GroupListings(tree.listAll(asked, signal))
      for (const path of asked) await this.#mirrorDirectory(path, own.next(), listings.next(), signal)
      await this.#mirrorFresh(directories.filter(d => d.fresh).map(d => d.path), signal)
      await this.#sender.flush(signal)
    } finally {
      // also when this group fails: others must not wait for ever
      for (const group of this.#made) group.markSent()
    }
    await this.#makeLinks(signal)
    for (const path of this.#touched) {
      const metadata = await tree.readMetadata(path, signal)
      if (metadata !== undefined) await this.#sender.add(metadata, signal)
    }
    await this.#sender.flush(signal)
    return this.#children
  }

  async #mirrorDirectory(path: RelPath, ours: AsyncIterable<ListingPage>, theirs: AsyncIterable<ListingPage>, signal: AbortSignal): Promise<void> {
    for await (const pairs of joinListings(ours, theirs)) {
      await this.#mirrorPairs(path, pairs, signal)
      this.#mirror.tally.tell()
    }
  }

  /** Directories of which the replica has nothing: there is nothing to compare, and they are read many at a time. */
  async #mirrorFresh(paths: readonly RelPath[], signal: AbortSignal): Promise<void> {
    const { tree, tally } = this.#mirror
    for (let at = 0; at < paths.length;) {
      const rest = paths.slice(at)
      const { batch, directories, findings } = await tree.readDirectories(rest, READ_OPTIONS, signal)
      await this.#sender.add(batch, signal)
      tally.finding(...findings)
      for (const [i, directory] of directories.entries()) await this.#mirrorLeft(rest[i] ?? ROOT_PATH, directory, signal)
      const [first] = rest
      if (directories.length === 0 && first !== undefined) await this.#mirrorDirectory(first, tree.list(first, signal), NOTHING, signal)
      tally.tell()
      at += Math.max(1, directories.length)
    }
  }

  /** Counts what was made of a directory, and mirrors what was left of it. */
  async #mirrorLeft(path: RelPath, { page, left, settled }: WholeDirectory, signal: AbortSignal): Promise<void> {
    const { tally } = this.#mirror
    const pairs: Pair[] = []
    let index = 0
    for (const source of listingEntries(page)) {
      if (left[pairs.length] === index++) {
        pairs.push({ source, target: undefined })
        continue
      }
      tally.found(source)
      tally.done(source)
      if (source.type === 'directory') this.#children.push({ path: joinRelPath(path, source.name), fresh: true })
    }
    if (!settled) this.#touched.add(path)
    if (pairs.length > 0) await this.#mirrorPairs(path, pairs, signal)
  }

  async #mirrorPairs(directory: RelPath, pairs: readonly Pair[], signal: AbortSignal): Promise<void> {
    const { request, tally } = this.#mirror
    const whole: Pair[] = []
    const compared: { pair: Pair, verdict: Verdict }[] = []
    for (const pair of pairs) {
      const { source, target } = pair
      if (source === undefined) {
        if (target !== undefined && request.orphans === 'delete' && isOrphan(directory, target)) await this.#remove(directory, target.name, signal)
        continue
      }
      tally.found(source)
      const path = joinRelPath(directory, source.name)
      const verdict = this.#verdict(source, target, path)
      if (verdict === undefined) continue
      if (source.type === 'directory') this.#children.push({ path, fresh: verdict === 'create' || verdict === 'replace' })
      switch (verdict) {
        case 'same': tally.skipped(source); break
        case 'metadata': await this.#sendMetadata(path, source, signal); break
        case 'verify': compared.push({ pair, verdict }); break
        case 'content':
          if (source.sizeBytes > SMALL_FILE_BYTES) compared.push({ pair, verdict })
          else whole.push(pair)
          break
        case 'replace': await this.#remove(directory, source.name, signal); whole.push(pair); break
        case 'create': whole.push(pair); break
      }
    }
    if (whole.length > 0) await this.#sendEntries(directory, whole, signal)
    for (let at = 0; at < compared.length; at += COMPARED_AT_ONCE) {
      await Promise.all(compared.slice(at, at + COMPARED_AT_ONCE).map(async c => { await this.#sendCompared(directory, c.pair, c.verdict, signal) }))
    }
  }

  /** The verdict, or undefined when the entry is a further name of an object and is dealt with as a link. */
  #verdict(source: ListingEntry, target: ListingEntry | undefined, path: RelPath): Verdict | undefined {
    const { links, request } = this.#mirror
    const foreign = target !== undefined && links.isForeign(source, target)
    const linked = source.type !== 'directory' && source.linkCount > 1
    if (!linked) return foreign ? 'replace' : judge(source, target, request.compare)
    const { group, first } = links.join(source, path)
    if (!first) {
      this.#links.push({ entry: source, path, target, group })
      return undefined
    }
    const verdict = foreign ? 'replace' : judge(source, target, request.compare)
    if (verdict !== 'create' && verdict !== 'replace') group.replicaInode = target?.inode
    this.#made.push(group)
    return verdict
  }

  async #remove(directory: RelPath, name: Buffer, signal: AbortSignal): Promise<void> {
    await this.#sender.add(encodeOperation({ kind: 'remove', path: joinRelPath(directory, name) }), signal)
    this.#touched.add(directory)
  }

  async #sendMetadata(path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
    const metadata = await this.#mirror.tree.readMetadata(path, signal)
    if (metadata !== undefined) await this.#sender.add(metadata, signal)
    this.#mirror.tally.done(entry)
  }

  /** Entries of one directory as they are now, small files in batches, large ones in pieces. */
  async #sendEntries(directory: RelPath, pairs: readonly Pair[], signal: AbortSignal): Promise<void> {
    const { tree, tally } = this.#mirror
    this.#touched.add(directory)
    const entries = pairs.flatMap(p => p.source === undefined ? [] : [p.source])
    for (let at = 0; at < entries.length;) {
      const rest = entries.slice(at)
      const result = await tree.read(directory, rest.map(e => e.name), READ_OPTIONS, signal)
      await this.#sender.add(result.batch, signal)
      tally.finding(...result.findings)
      for (const index of result.large) {
        const entry = rest[index]
        if (entry !== undefined) await this.#sendLarge(joinRelPath(directory, entry.name), signal)
      }
      for (const entry of rest.slice(0, result.taken)) tally.done(entry)
      tally.tell()
      at += result.taken
    }
  }

  async #sendLarge(path: RelPath, signal: AbortSignal): Promise<void> {
    await this.#withFile(path, async sending => ({ findings: await sendWhole(sending, signal), changed: true }), signal)
  }

  async #sendCompared(directory: RelPath, pair: Pair, verdict: Verdict, signal: AbortSignal): Promise<void> {
    const { source, target } = pair
    if (source === undefined || target === undefined) return
    const { tally } = this.#mirror
    const path = joinRelPath(directory, source.name)
    const forced = verdict === 'content' || !source.sameRecord(target)
    const difference = await this.#withFile(path, async sending => await sendDifference(sending, target, source.allocatedBytes, forced, signal), signal)
    if (difference?.changed === false && !forced) tally.skipped(source)
    else tally.done(source)
  }

  /** A sender of its own keeps the operations of a file together while several files are compared at once. */
  async #withFile(path: RelPath, send: (sending: FileSending) => Promise<Difference>, signal: AbortSignal): Promise<Difference | undefined> {
    const { volume, tree, stream, tally } = this.#mirror
    await this.#sender.flush(signal)
    const sender = new BatchSender(stream, volume)
    try {
      await using file = await tree.openFile(path, signal)
      const difference = await send({ volume, path, file, sender, stream })
      await sender.flush(signal)
      tally.finding(...difference.findings)
      return difference
    } catch (error) {
      if (isAppError(error, 'SOURCE_MISSING')) tally.finding(vanished(path))
      else if (isAppError(error, 'SOURCE_UNREADABLE')) tally.finding(unreadable(path, error.message))
      else throw error
      return undefined
    }
  }

  async #makeLinks(signal: AbortSignal): Promise<void> {
    for (const { entry, path, target, group } of this.#links) {
      await group.sent
      if (target !== undefined && group.replicaInode === target.inode) {
        this.#mirror.tally.skipped(entry)
        continue
      }
      await this.#sender.add(encodeOperation({ kind: 'link', path, existing: group.path }), signal)
      this.#touched.add(parentOf(path))
      this.#mirror.tally.done(entry)
    }
  }
}

/** Cuts the pages of several directories, which come one after the other, into one listing for each. */
class GroupListings {
  readonly #listings: AsyncIterator<ReplicaListing>
  constructor(listings: AsyncIterable<ReplicaListing>) { this.#listings = listings[Symbol.asyncIterator]() }

  /** The next directory's pages; must be read to their end before the next call. */
  async* next(): AsyncGenerator<ListingPage> {
    for (;;) {
      const step = await this.#listings.next()
      if (step.done === true) return
      if (step.value.page.length > 0) yield step.value.page
      if (step.value.last) return
    }
  }
}

const NOTHING: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) }

function vanished(path: RelPath): Finding {
  return {
    code: 'FILE_VANISHED', severity: 'ok', subject: display(path), message: `${display(path)} was removed or replaced while it was read.`,
    advice: 'Nothing to do: replication brings the change.',
  }
}

function unreadable(path: RelPath, message: string): Finding {
  return { code: 'FILE_UNREADABLE', severity: 'error', subject: display(path), message, advice: 'Check the permissions and the disk of the source.' }
}
