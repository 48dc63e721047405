/**
 * The agent's end of the stream of operations, as mirror and replication use it: operations go out in one sequence per connection and
 * come back as acknowledgements; the replica can be asked what it has. Promises: sequences count from 1 without gaps in the order of
 * `send`; what is durable is applied; memory is bounded by the link's credit. When the link ends every wait fails with LINK_LOST.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { DirectoryDigest, ListingPage } from './listing-codec.ts'
import type { AppliedFailure } from './messages.ts'
import type { OperationBatch } from './operation-codec.ts'

/** One page of the listing of a directory of the replica; `last` ends that directory, and a missing directory is one empty last page. */
export interface ReplicaListing { directory: number, page: ListingPage, last: boolean }

export interface OperationStream {
  /**
   * Sends a batch of one volume; resolves with its sequence when it is handed over within credit. The batch is given away. Calls
   * may overlap: they go out in the order of the calls. An empty batch is not sent: the answer is the sequence of the last one sent.
   * @throws {AppError} LINK_LOST
   */
  send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number>
  /** sequence of the last batch sent; 0 before the first */
  readonly sent: number
  /** up to which sequence the replica has applied */
  readonly applied: number
  /** up to which sequence the replica has flushed: it survives a power loss of the appliance */
  readonly durable: number
  /** Resolves when `applied` has reached the sequence. @throws {AppError} LINK_LOST */
  whenApplied(sequence: number, signal: AbortSignal): Promise<void>
  /** Resolves when `durable` has reached the sequence. @throws {AppError} LINK_LOST */
  whenDurable(sequence: number, signal: AbortSignal): Promise<void>
  /** Asks the replica to flush all that was sent so far now, instead of when it is due; `whenDurable` tells when it has. @throws {AppError} LINK_LOST */
  requestFlush(signal: AbortSignal): Promise<void>
  /** The operations that the replica reported as failed since the last call; a failure is here before its sequence counts as applied. */
  takeFailures(): readonly AppliedFailure[]
  /**
   * Whole listings of directories of the replica (at most MAX_LISTED_DIRECTORIES), in the order of `directories`, pulled by the consumer;
   * leaving the loop early is fine. Lists are answered beside the operations: what was sent just before may not be seen yet (wait with
   * whenApplied where that matters). At most MAX_OPEN_REQUESTS lists and hashes are under way, further ones wait their turn.
   * @throws {AppError} LINK_LOST
   */
  list(volume: number, directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<ReplicaListing>
  /** As TargetTree.blockHashes of a file of the replica, beside the operations as `list` is. @throws {AppError} LINK_LOST */
  hashes(volume: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer>
  /**
   * Which directories of the replica (at most MAX_LISTED_DIRECTORIES) hold exactly what their digests tell, a byte for each: 1 or 0. Beside the
   * operations as `list` is. @throws {AppError} LINK_LOST
   */
  same(volume: number, directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer>
  /** How much data one `write` should hold: as Link.pieceBytes, whole blocks of 4 KiB. It may change. */
  readonly pieceBytes: number
  /** bytes of operations and requests sent so far, headers included, before packing and TLS */
  readonly bytesSent: number
  /** bytes of those of them that have gone out, as they were packed */
  readonly bytesSentPacked: number
}

/** How many directories one `list` request may name. */
export const MAX_LISTED_DIRECTORIES = 1024
/** How many lists, hashes and digests a peer may have under way: bounds what each costs the other. */
export const MAX_OPEN_REQUESTS = 16
