/**
 * One stream of operations for a mirror and the replication beside it. Each has its own view: what it has sent, what of that was refused, and
 * its bytes. Operations go out in one sequence and are applied in it; which goes next is a matter of weights (fair-turns.ts).
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { Ratio } from '../domain/transmission.ts'
import { FairTurns, type Kind } from './fair-turns.ts'
import type { DirectoryDigest } from './listing-codec.ts'
import type { AppliedFailure } from './messages.ts'
import type { OperationBatch } from './operation-codec.ts'
import type { OperationStream, ReplicaListing } from './operation-stream.ts'

/** While the views are used nobody else may send. */
export function shareStream(stream: OperationStream, ratio: () => Ratio): Record<Kind, OperationStream> {
  const shared = new Shared(stream, ratio)
  return { mirror: new View(stream, shared, 'mirror'), replication: new View(stream, shared, 'replication') }
}

/** From this sequence on all are of that kind, until the next of these. */
interface Run { from: number, kind: Kind }

class Shared {
  readonly #stream: OperationStream
  readonly turns: FairTurns
  readonly bytes: Record<Kind, number> = { mirror: 0, replication: 0 }
  readonly #failures: Record<Kind, AppliedFailure[]> = { mirror: [], replication: [] }
  #runs: Run[] = []

  constructor(stream: OperationStream, ratio: () => Ratio) {
    this.#stream = stream
    this.turns = new FairTurns(ratio)
  }

  /** The next sequence is of that kind; to be called before it is sent, because it may be answered before that ends. */
  sends(kind: Kind): void {
    if (this.#runs.at(-1)?.kind !== kind) this.#runs.push({ from: this.#stream.sent + 1, kind })
  }

  takeFailures(kind: Kind): readonly AppliedFailure[] {
    // before the failures: one that is not here yet belongs to what is not applied
    const { applied } = this.#stream
    for (const failure of this.#stream.takeFailures()) {
      const of = this.#runs.findLast(({ from }) => from <= failure.sequence)
      this.#failures[of?.kind ?? 'replication'].push(failure)
    }
    while ((this.#runs[1]?.from ?? Infinity) <= applied + 1) this.#runs.shift()
    return this.#failures[kind].splice(0)
  }
}

class View implements OperationStream {
  readonly #stream: OperationStream
  readonly #shared: Shared
  readonly #kind: Kind
  #sent: number

  constructor(stream: OperationStream, shared: Shared, kind: Kind) {
    this.#stream = stream
    this.#shared = shared
    this.#kind = kind
    this.#sent = stream.sent
  }

  /** of this view, as `applied` and `durable` are */
  get sent(): number { return this.#sent }
  get applied(): number { return Math.min(this.#sent, this.#stream.applied) }
  get durable(): number { return Math.min(this.#sent, this.#stream.durable) }

  /** Requests, and what of the link is nobody's, are the mirror's. */
  get bytesSent(): number {
    const { replication } = this.#shared.bytes
    return this.#kind === 'replication' ? replication : this.#stream.bytesSent - replication
  }

  get pieceBytes(): number { return this.#stream.pieceBytes }

  get bytesSentPacked(): number { return this.#stream.bytesSentPacked }

  async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (batch.length === 0) return this.#sent
    const bytes = batch.length
    await this.#shared.turns.take(this.#kind, bytes, signal)
    try {
      this.#shared.sends(this.#kind)
      this.#sent = await this.#stream.send(volume, batch, signal)
      this.#shared.bytes[this.#kind] += bytes
      return this.#sent
    } finally {
      this.#shared.turns.give()
    }
  }

  async whenApplied(sequence: number, signal: AbortSignal): Promise<void> { await this.#stream.whenApplied(sequence, signal) }
  async whenDurable(sequence: number, signal: AbortSignal): Promise<void> { await this.#stream.whenDurable(sequence, signal) }
  async requestFlush(signal: AbortSignal): Promise<void> { await this.#stream.requestFlush(signal) }
  takeFailures(): readonly AppliedFailure[] { return this.#shared.takeFailures(this.#kind) }
  list(volume: number, directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<ReplicaListing> { return this.#stream.list(volume, directories, signal) }

  async hashes(volume: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#stream.hashes(volume, path, offset, lengthBytes, blockBytes, signal)
  }

  async same(volume: number, directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> {
    return await this.#stream.same(volume, directories, signal)
  }
}
