/** Sends what was judged about the entries of one group of directories: one verb for each verdict, and counts it. */
import { isAppError } from '../errors/app-error.ts'
import { joinRelPath, type RelPath } from '../domain/rel-path.ts'
import type { MirrorFront } from '../tree/mirror-front.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import { encodeOperation, type OperationBatch } from '../wire/operation-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { BatchSender } from './batch-sender.ts'
import type { Pair, Verdict } from './compare.ts'
import { unreadable, vanished } from './findings.ts'
import { sendDifference, sendWhole, type Difference, type FileSending } from './send-file.ts'
import type { Tally } from './tally.ts'

/** Regular files up to this size travel in one operation. */
const SMALL_FILE_BYTES = 1024 * 1024
const BATCH_BYTES = 1024 * 1024
export const READ_OPTIONS = { smallFileBytes: SMALL_FILE_BYTES, maxBatchBytes: BATCH_BYTES }

/** One volume's way to the replica. */
export interface VolumeSending { volume: number, tree: SourceTree, stream: OperationStream, tally: Tally, front: MirrorFront }

/** Used by one group; what it adds is sent in order. */
export class EntrySender {
  readonly #volume: VolumeSending
  readonly #sender: BatchSender
  /** directories whose own metadata must be sent again, because what was made or removed in them changes their times */
  readonly touched = new Set<RelPath>()

  constructor(volume: VolumeSending) {
    this.#volume = volume
    this.#sender = new BatchSender(volume.stream, volume.volume)
  }

  async add(batch: OperationBatch, signal: AbortSignal): Promise<void> { await this.#sender.add(batch, signal) }

  async flush(signal: AbortSignal): Promise<void> { await this.#sender.flush(signal) }

  /** Sends the metadata of the touched directories, and everything added. */
  async finishDirectories(signal: AbortSignal): Promise<void> {
    for (const path of this.touched) await this.addMetadata(path, signal)
    await this.flush(signal)
  }

  /** Removes a name of the replica. */
  async remove(directory: RelPath, name: Buffer, signal: AbortSignal): Promise<void> {
    await this.#sender.add(encodeOperation({ kind: 'remove', path: joinRelPath(directory, name) }), signal)
    this.touched.add(directory)
  }

  /** What is at path stays as it is but for its metadata. */
  async sendMetadata(path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
    await this.addMetadata(path, signal)
    this.#volume.tally.done(entry)
  }

  /** The metadata of path as it is now; what cannot be read is a finding. */
  async addMetadata(path: RelPath, signal: AbortSignal): Promise<void> {
    try {
      const metadata = await this.#volume.tree.readMetadata(path, signal)
      if (metadata !== undefined) await this.#sender.add(metadata, signal)
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
      this.#volume.tally.finding(unreadable(path, error.message))
    }
  }

  /** Entries of one directory as they are now, small files in batches, large ones in pieces. */
  async sendEntries(directory: RelPath, pairs: readonly Pair[], signal: AbortSignal): Promise<void> {
    const { tree, tally } = this.#volume
    this.touched.add(directory)
    const entries = pairs.flatMap(p => p.source === undefined ? [] : [p.source])
    const paths = entries.map(({ name }) => joinRelPath(directory, name))
    for (let at = 0; at < entries.length;) {
      const rest = entries.slice(at)
      const result = await tree.read(paths.slice(at), READ_OPTIONS, signal)
      await this.#sender.add(result.batch, signal)
      tally.finding(...result.findings)
      for (const index of result.large) {
        const [entry, path] = [rest[index], paths[at + index]]
        if (entry !== undefined && path !== undefined) await this.#sendLarge(path, entry, signal)
      }
      const large = new Set(result.large)
      for (const [index, entry] of rest.slice(0, result.taken).entries()) if (!large.has(index)) tally.done(entry)
      tally.tell()
      at += result.taken
    }
  }

  async #sendLarge(path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
    await this.#withFile(path, entry, async sending => ({ findings: await sendWhole(sending, signal), changed: true }), () => false, signal)
  }

  /** A regular file that both sides have: only what differs. */
  async sendCompared(directory: RelPath, pair: Pair, verdict: Verdict, signal: AbortSignal): Promise<void> {
    const { source, target } = pair
    if (source === undefined || target === undefined) return
    const path = joinRelPath(directory, source.name)
    const forced = verdict === 'content' || !source.sameRecord(target)
    await this.#withFile(path, source, async sending => await sendDifference(sending, target, source.allocatedBytes, forced, signal), ({ changed }) => !changed && !forced, signal)
  }

  /** A sender of its own keeps the operations of a file together while several files are compared at once. */
  async #withFile(path: RelPath, entry: ListingEntry, send: (sending: FileSending) => Promise<Difference>, isSkipped: (difference: Difference) => boolean, signal: AbortSignal): Promise<void> {
    const { volume, tree, stream, tally } = this.#volume
    await this.#sender.flush(signal)
    const sender = new BatchSender(stream, volume)
    const counted = tally.begin(entry)
    let skipped = false
    try {
      await using file = await tree.openFile(path, signal)
      const difference = await send({ volume, path, file, sender, stream, tally: counted })
      await sender.flush(signal)
      tally.finding(...difference.findings)
      skipped = isSkipped(difference)
    } catch (error) {
      if (isAppError(error, 'SOURCE_MISSING')) tally.finding(vanished(path))
      else if (isAppError(error, 'SOURCE_UNREADABLE')) tally.finding(unreadable(path, error.message))
      else throw error
    }
    counted.end(skipped)
  }
}
