/** The agent's stream of operations without a wire: batches are applied to target trees at once, in order, and are durable when applied. */
import type { RelPath } from '../src/domain/rel-path.ts'
import type { TargetTree } from '../src/tree/target-tree.ts'
import type { AppliedFailure } from '../src/wire/messages.ts'
import type { OperationBatch } from '../src/wire/operation-codec.ts'
import type { OperationStream, ReplicaListing } from '../src/wire/operation-stream.ts'
import type { DirectoryDigest, ListingPage } from '../src/wire/listing-codec.ts'

export class TreeStream implements OperationStream {
  readonly #targets: ReadonlyMap<number, TargetTree>
  #queue: Promise<void> = Promise.resolve()
  #failures: AppliedFailure[] = []
  sent = 0
  applied = 0
  bytesSent = 0
  /** small, so that files of a test have several pieces */
  readonly pieceBytes = 256 * 1024

  constructor(targets: ReadonlyMap<number, TargetTree>) { this.#targets = targets }

  get durable(): number { return this.applied }
  get bytesSentPacked(): number { return this.bytesSent }

  async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (batch.length === 0) return this.sent
    const sequence = ++this.sent
    this.bytesSent += batch.length
    await this.#inOrder(async () => {
      const result = await this.#target(volume).apply(batch, signal)
      for (const f of result.failures) this.#failures.push({ sequence, volume, index: f.index, operation: f.kind, path: f.path.toString('base64'), errno: f.errno, what: f.what, partial: f.partial })
      this.applied = sequence
    })
    return sequence
  }

  async whenApplied(): Promise<void> { await this.#queue }
  async whenDurable(): Promise<void> { await this.#queue }
  async requestFlush(): Promise<void> { await this.#queue }
  takeFailures(): readonly AppliedFailure[] { return this.#failures.splice(0) }

  async* list(volume: number, directories: readonly RelPath[], signal: AbortSignal): AsyncGenerator<ReplicaListing> {
    await this.#queue
    for (const [directory, path] of directories.entries()) {
      for await (const page of this.#target(volume).list(path, signal)) yield { directory, page, last: false }
      yield { directory, page: Buffer.alloc(0) as ListingPage, last: true }
    }
  }

  async hashes(volume: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    await this.#queue
    return await this.#target(volume).blockHashes(path, offset, lengthBytes, blockBytes, signal)
  }

  async same(volume: number, directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> {
    await this.#queue
    return await this.#target(volume).same(directories, signal)
  }

  async #inOrder(work: () => Promise<void>): Promise<void> {
    const mine = this.#queue.then(work)
    this.#queue = mine
    await mine
  }

  #target(volume: number): TargetTree {
    const target = this.#targets.get(volume)
    if (target === undefined) throw new Error(`no target for volume ${String(volume)}`)
    return target
  }
}
