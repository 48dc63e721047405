/**
 * A tree of files on the replica, written from a stream that is not trusted. Promises: nothing outside the root is read or touched, ever:
 * every step is relative to a held descriptor, no link is followed, no mount is crossed; an operation is applied or reported, never half
 * believed; repeating operations is harmless. It does not decide what to copy.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { OperationKind } from '../domain/file-operation.ts'
import type { OperationBatch } from '../wire/operation-codec.ts'
import type { DirectoryDigest, ListingPage } from '../wire/listing-codec.ts'
import type { DirectoryPage } from './source-tree.ts'

export interface ApplyFailure {
  /** position of the operation in the batch */
  index: number
  kind: OperationKind
  path: RelPath
  /** ENOENT on `link`, `write`, `metadata` ... means the replica lacks what the operation builds on: the sender must send it whole */
  errno: string
  /** what of the object's metadata was refused, or why the operation was, in words; may be empty */
  what: string
  /** the object is there as it should be, but for `what`: sending it again changes nothing */
  partial: boolean
  message: string
}
export interface ApplyResult { operations: number, bytesWritten: number, failures: readonly ApplyFailure[] }

export interface TargetTree extends AsyncDisposable {
  /**
   * Applies a batch in order; a failing operation is reported and the next one goes on.
   * @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE (EIO): of what is after the failing operation at most something in other
   * directories was applied;
   * FRAME_INVALID when the bytes are no operations (nothing is applied). Abort takes effect between batches only. The batch is borrowed.
   */
  apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult>
  /** As SourceTree.list. A directory that is missing, or is no directory, yields nothing. */
  list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage>
  /** As SourceTree.listAll. */
  listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage>
  /** A page with the one entry at path, or undefined when there is nothing. The root has the empty name. @throws {AppError} REPLICA_WRITE */
  look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined>
  /** Whether directories hold exactly what their digests tell, a byte for each: 1, or 0 when not or when that cannot be told by a digest. */
  same(directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer>
  /** As SourceFile.blockHashes, of a regular file on the replica; shorter when the file is; empty when there is no such file. */
  blockHashes(path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer>
  /** Everything applied so far survives a power loss when this resolves. @throws {AppError} REPLICA_WRITE, REPLICA_FULL */
  flush(signal: AbortSignal): Promise<void>
  /** The note about an unfinished mirror that is kept with the root, and that nobody else sees; undefined when there is none. @throws {AppError} REPLICA_WRITE */
  readMirrorMark(signal: AbortSignal): Promise<string | undefined>
  /**
   * Writes that note, or takes it away; `durable`: it survives a power loss when this resolves. False when the file system keeps no such
   * thing or has no room for it: what was there before stays. @throws {AppError} REPLICA_READ_ONLY, REPLICA_WRITE
   */
  writeMirrorMark(value: string | undefined, durable: boolean, signal: AbortSignal): Promise<boolean>
}
