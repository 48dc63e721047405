/** Looks again at names that looked different, and tells what still differs: all that is below a directory that one side lacks, too. */
import { joinRelPath, nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'
import { MAX_ASPECT_RANGES, type Aspect } from '../domain/verification.ts'
import { isAppError } from '../errors/app-error.ts'
import { listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import { differingRanges } from './compare-data.ts'
import { joinListings, type Pair } from './compare.ts'
import { describeDifference } from './describe-difference.ts'
import { GroupListings } from './group-listings.ts'
import type { Suspect, SuspectDirectory } from './suspects.ts'
import { isUnchanged, type VolumeVerification } from './volume-verification.ts'

const GROUP_DIRECTORIES = 64

export class SecondLook {
  readonly #verification: VolumeVerification

  constructor(verification: VolumeVerification) {
    this.#verification = verification
  }

  /** Gives the directories that both sides have now and that have not been walked. @throws {AppError} LINK_LOST, SOURCE_UNREADABLE */
  async at(suspects: readonly SuspectDirectory[], signal: AbortSignal): Promise<readonly RelPath[]> {
    const { stream, tree, volume, sender, tally } = this.#verification
    const appeared: RelPath[] = []
    for (let at = 0; at < suspects.length; at += GROUP_DIRECTORIES) {
      const group = suspects.slice(at, at + GROUP_DIRECTORIES)
      const paths = group.map(directory => directory.path)
      const theirs = new GroupListings(stream.list(volume, paths, signal))
      const ours = new GroupListings(tree.listAll(paths, signal))
      for (const { path, names } of group) {
        for await (const pairs of joinListings(ours.next(), theirs.next())) {
          for (const pair of pairs) {
            const name = (pair.source ?? pair.target)?.name
            const suspect = name === undefined ? undefined : names.get(name.toString('latin1'))
            if (name !== undefined && suspect !== undefined) await this.#judge(joinRelPath(path, name), pair, suspect, appeared, signal)
          }
          tally.tell()
        }
      }
    }
    await sender.flush()
    return appeared
  }

  async #judge(path: RelPath, { source, target }: Pair, suspect: Suspect, appeared: RelPath[], signal: AbortSignal): Promise<void> {
    const { startedNs } = this.#verification
    if (source === undefined) {
      if (target === undefined || !this.#verification.isExtra(parentOf(path), target)) return
      const moving = suspect.certain !== true && !await isUnchanged(this.#verification, parentOf(path), signal)
      await this.#tell(path, target, moving, [{ what: 'extra' }])
      if (target.type === 'directory') await this.#tellBelow('extra', path, moving, signal)
      return
    }
    const moving = source.ctimeNs >= startedNs
    if (target === undefined) {
      await this.#tell(path, source, moving, [{ what: 'missing' }])
      if (source.type === 'directory') await this.#tellBelow('missing', path, moving, signal)
      return
    }
    if (source.type === 'directory' && target.type === 'directory' && suspect.walked !== true) appeared.push(path)
    await this.#tell(path, source, moving, this.#aspects(path, source, target, suspect, signal))
    if (source.type === target.type) return
    if (source.type === 'directory') await this.#tellBelow('missing', path, moving, signal)
    if (target.type === 'directory') await this.#tellBelow('extra', path, moving, signal)
  }

  /** Counts the path when it has an aspect. */
  async #tell(path: RelPath, entry: ListingEntry, moving: boolean, aspects: Iterable<Aspect> | AsyncIterable<Aspect>): Promise<void> {
    const { sender, tally } = this.#verification
    if (await sender.add(path, entry.type, moving, aspects)) tally.differs(moving)
  }

  async* #aspects(path: RelPath, source: ListingEntry, target: ListingEntry, { broken }: Suspect, signal: AbortSignal): AsyncGenerator<Aspect> {
    yield* describeDifference(source, target)
    if (broken !== undefined) yield* await this.#links(path, broken, source, target, signal)
    if (this.#verification.by === 'data' && source.type === 'file' && target.type === 'file') yield* this.#content(path, source, target, signal)
  }

  async* #content(path: RelPath, source: ListingEntry, target: ListingEntry, signal: AbortSignal): AsyncGenerator<Aspect> {
    const { volume, tree, stream } = this.#verification
    const sizeBytes = Math.min(source.sizeBytes, target.sizeBytes)
    let ranges: [number, number][] = []
    try {
      await using file = await tree.openFile(path, signal)
      for await (const { offset, lengthBytes } of differingRanges({ volume, path, file, stream }, sizeBytes, target.allocatedBytes > 0, signal)) {
        const last = ranges.at(-1)
        if (last !== undefined && last[0] + last[1] === offset) last[1] += lengthBytes
        else if (ranges.push([offset, lengthBytes]) > MAX_ASPECT_RANGES) {
          yield { what: 'content', ranges: ranges.slice(0, -1) }
          ranges = ranges.slice(-1)
        }
      }
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE') && !isAppError(error, 'SOURCE_MISSING')) throw error
      yield { what: 'unreadable', source: error.message.slice(0, 1000) }
    }
    if (ranges.length > 0) yield { what: 'content', ranges }
  }

  /** Whether both names still are one object on one side only. */
  async #links(path: RelPath, other: RelPath, source: ListingEntry, target: ListingEntry, signal: AbortSignal): Promise<Aspect[]> {
    const { tree, stream, volume } = this.#verification
    const page = await tree.look(other, signal)
    const [ours] = page === undefined ? [] : [...listingEntries(page)]
    const theirs = await find(new GroupListings(stream.list(volume, [parentOf(other)], signal)).next(), nameOf(other))
    const [onSource, onReplica] = [ours?.inode === source.inode, theirs?.inode === target.inode]
    if (path.equals(other) || onSource === onReplica) return []
    const shared = other.toString('base64')
    return [{ what: 'links', ...(onSource ? { source: shared } : { replica: shared }) }]
  }

  /** All that is below a directory that only one side has. */
  async #tellBelow(what: 'missing' | 'extra', top: RelPath, moving: boolean, signal: AbortSignal): Promise<void> {
    const { tree, stream, volume, startedNs, tally } = this.#verification
    const pending = [{ path: top, moving }]
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      const { path } = directory
      const pages = new GroupListings(what === 'missing' ? tree.listAll([path], signal) : stream.list(volume, [path], signal)).next()
      for await (const page of pages) {
        for (const entry of listingEntries(page)) {
          const child = joinRelPath(path, entry.name)
          const moves = directory.moving || (what === 'missing' && entry.ctimeNs >= startedNs)
          if (what === 'missing') tally.found(entry)
          if (what === 'missing') tally.compared(entry)
          await this.#tell(child, entry, moves, [{ what }])
          if (entry.type === 'directory') pending.push({ path: child, moving: moves })
        }
        tally.tell()
      }
    }
  }
}

/** The entry of the name; the pages are read to their end. */
async function find(pages: AsyncIterable<ListingPage>, name: Buffer): Promise<ListingEntry | undefined> {
  let found: ListingEntry | undefined
  for await (const page of pages) for (const entry of listingEntries(page)) if (entry.name.equals(name)) found = entry
  return found
}
