/**
 * The agent's side of a verification: walks the volumes, asks the replica what it has, and tells what differs. It sends nothing else and
 * writes nothing anywhere. What looks different at first sight is looked at again, at the end or when there is too much of it: a source
 * lives. What still differs then, but has changed on the source since the verification began, is told as moving.
 */
import type { Clock } from '../clock/clock.ts'
import { joinRelPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { VerifyBy, VerifyProgress } from '../domain/verification.ts'
import { isAppError } from '../errors/app-error.ts'
import { isOrphan } from '../tree/orphan-walk.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import { EVERYTHING, type VolumeRules } from '../tree/volume-rules.ts'
import { asListingPage, listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { joinListings, type Pair } from './compare.ts'
import { differingRanges } from './compare-data.ts'
import { describeDifference } from './describe-difference.ts'
import { DifferenceSender, type SendDifferences } from './difference-sender.ts'
import { GroupListings } from './group-listings.ts'
import { LinkStructure } from './link-structure.ts'
import { SecondLook } from './second-look.ts'
import { Suspects } from './suspects.ts'
import { VerifyTally } from './verify-tally.ts'
import { isUnchanged, type VolumeVerification } from './volume-verification.ts'
import { walkGroups } from './walk-groups.ts'

export interface VerifyWork {
  /** as the rules let them be seen */
  volumes: ReadonlyMap<number, SourceTree>
  /** the rules of each volume; left out: everything belongs to the replica */
  rules?: ReadonlyMap<number, VolumeRules>
  /** listing pages with the root of the replica of each volume, by volume */
  roots: ReadonlyMap<number, Buffer>
  stream: OperationStream
  by: VerifyBy
  differences: SendDifferences
  report: (progress: VerifyProgress) => void
  clock: Clock
}

/** Files whose data is compared at the same time. */
const COMPARED_AT_ONCE = 16
/** So much of what looks different waits for the second look. */
const MAX_SUSPECT_BYTES = 16 * 1024 * 1024
/** ctimes are a tick behind the clock */
const TICK_MS = 20
/** A directory that came back is walked; one that goes on coming and going is left as moving. */
const MAX_ROUNDS = 4

/** Verifies all volumes. @throws {AppError} LINK_LOST, SOURCE_UNREADABLE. Abort stops between batches. */
export async function verifyVolumes(work: VerifyWork, signal: AbortSignal): Promise<VerifyProgress> {
  const tally = new VerifyTally(work.clock, work.report, work.by === 'data')
  const startedNs = BigInt(work.clock.now() - TICK_MS) * 1_000_000n
  for (const [volume, tree] of work.volumes) {
    const rules = work.rules?.get(volume) ?? EVERYTHING
    const sender = new DifferenceSender(volume, work.differences)
    const verification: VolumeVerification = { volume, tree, stream: work.stream, by: work.by, startedNs, tally, sender, isExtra: (directory, entry) => isOrphan(rules, directory, entry) }
    await verifyRoot(verification, work.roots.get(volume), signal)
    await new VolumeWalk(verification).run(signal)
    await sender.flush()
  }
  tally.walked()
  tally.tell(true)
  return tally.progress()
}

async function verifyRoot({ tree, tally, sender, startedNs }: VolumeVerification, replica: Buffer | undefined, signal: AbortSignal): Promise<void> {
  const page = await tree.look(ROOT_PATH, signal)
  const [source] = page === undefined ? [] : [...listingEntries(page)]
  const [target] = replica === undefined ? [] : [...listingEntries(asListingPage(replica))]
  if (source === undefined) return
  tally.found(source)
  tally.compared(source)
  const aspects = target === undefined ? [{ what: 'unreadable' as const, source: 'the root of the replica' }] : describeDifference(source, target)
  if (aspects.length === 0) return
  const moving = source.ctimeNs >= startedNs
  tally.differs(moving)
  await sender.add(ROOT_PATH, 'directory', moving, aspects)
}

class VolumeWalk {
  readonly #verification: VolumeVerification
  readonly #links = new LinkStructure()
  readonly #suspects = new Suspects()
  readonly #secondLook: SecondLook
  #looking: Promise<readonly RelPath[]> = Promise.resolve([])

  constructor(verification: VolumeVerification) {
    this.#verification = verification
    this.#secondLook = new SecondLook(verification)
  }

  async run(signal: AbortSignal): Promise<void> {
    let left: readonly RelPath[] = [ROOT_PATH]
    for (let round = 0; round < MAX_ROUNDS && left.length > 0; round++) {
      await walkGroups(left, async (group, inner) => await this.#verifyGroup(group, inner), () => { this.#verification.tally.tell() }, signal)
      left = await this.#lookAgain(signal)
    }
  }

  async #verifyGroup(directories: readonly RelPath[], signal: AbortSignal): Promise<readonly RelPath[]> {
    const { tree, stream, volume, tally } = this.#verification
    const children: RelPath[] = []
    const theirs = new GroupListings(stream.list(volume, directories, signal))
    const ours = new GroupListings(tree.listAll(directories, signal))
    for (const directory of directories) {
      for await (const pairs of joinListings(ours.next(), theirs.next())) {
        await this.#verifyPairs(directory, pairs, children, signal)
        tally.tell()
      }
    }
    if (this.#suspects.bytes > MAX_SUSPECT_BYTES) children.push(...await this.#lookAgain(signal))
    return children
  }

  /** One after the other: each takes what has come together. */
  async #lookAgain(signal: AbortSignal): Promise<readonly RelPath[]> {
    const before = this.#looking
    const mine = (async () => {
      await before.catch(() => undefined)
      return await this.#secondLook.at(this.#suspects.take(), signal)
    })()
    this.#looking = mine
    return await mine
  }

  async #verifyPairs(directory: RelPath, pairs: readonly Pair[], children: RelPath[], signal: AbortSignal): Promise<void> {
    const { tally, by, isExtra } = this.#verification
    const data: { path: RelPath, source: ListingEntry, target: ListingEntry }[] = []
    const extra: RelPath[] = []
    for (const { source, target } of pairs) {
      if (source === undefined) {
        if (target !== undefined && isExtra(directory, target)) extra.push(joinRelPath(directory, target.name))
        continue
      }
      tally.found(source)
      const path = joinRelPath(directory, source.name)
      const differs = target === undefined || !source.sameRecord(target)
      const both = target !== undefined && source.type === target.type
      const isDirectory = both && source.type === 'directory'
      if (isDirectory) children.push(path)
      const { broken, again } = both ? this.#links.check(path, source, target) : { broken: undefined, again: false }
      if (differs || broken !== undefined) this.#suspects.add(path, { ...(broken === undefined ? {} : { broken }), ...(isDirectory ? { walked: true } : {}) })
      else if (by === 'data' && source.type === 'file' && !again && source.sizeBytes > 0) {
        data.push({ path, source, target })
        continue
      }
      tally.compared(source)
    }
    if (extra.length > 0) await this.#noteExtra(directory, extra, signal)
    for (let at = 0; at < data.length; at += COMPARED_AT_ONCE) {
      await Promise.all(data.slice(at, at + COMPARED_AT_ONCE).map(async ({ path, source, target }) => {
        if (await this.#dataDiffers(path, source, target, signal)) this.#suspects.add(path, {})
        tally.compared(source)
      }))
      tally.tell()
    }
  }

  /** What was extra before anything in the directory changed is so for certain. */
  async #noteExtra(directory: RelPath, extra: readonly RelPath[], signal: AbortSignal): Promise<void> {
    const certain = await isUnchanged(this.#verification, directory, signal)
    for (const path of extra) this.#suspects.add(path, { certain })
  }

  /** Up to the first block that differs. What cannot be read is for the second look to tell. */
  async #dataDiffers(path: RelPath, source: ListingEntry, target: ListingEntry, signal: AbortSignal): Promise<boolean> {
    const { volume, tree, stream } = this.#verification
    try {
      await using file = await tree.openFile(path, signal)
      for await (const range of differingRanges({ volume, path, file, stream }, source.sizeBytes, target.allocatedBytes > 0, signal)) return range.lengthBytes > 0
      return false
    } catch (error) {
      if (isAppError(error, 'SOURCE_MISSING') || isAppError(error, 'SOURCE_UNREADABLE')) return true
      throw error
    }
  }
}
