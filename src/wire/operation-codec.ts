/**
 * FileOperations as bytes. The Rust addon writes and reads exactly these bytes (`src/posix/addon/src/operation.rs`); fixtures/wire holds
 * vectors that both are tested with. Everything is little-endian. A batch is operations one after the other, nothing between them.
 *
 *   operation   u32 length of what follows | u8 kind | u8 flags | u16 path length | path | body by kind
 *   kinds       1 directory  2 file  3 write  4 punch  5 resize  6 symlink  7 node  8 link  9 rename  10 remove  11 metadata  12 set-aside
 *               13 unshare
 *   directory   metadata
 *   file        u64 size | metadata | u32 extent count | extents: { u64 offset | u32 length | data };  flags bit 0 = complete
 *   write       u64 offset | u32 length | data
 *   punch       u64 offset | u64 length
 *   resize      u64 size
 *   symlink     u16 length | target | metadata
 *   node        u8 type (1 fifo, 2 socket, 3 character, 4 block) | u32 major | u32 minor | metadata
 *   link        u16 length | existing path
 *   rename      u16 length | new path
 *   remove, set-aside, unshare   nothing
 *   metadata    metadata
 *
 *   metadata    core | i64 atime seconds | u32 atime nanoseconds
 *   core        u16 mode | u32 uid | u32 gid | u32 inode flags | u32 project id | i64 mtime seconds | u32 mtime nanoseconds
 *               | u16 count | xattrs sorted by name bytes: { u8 length | name | u32 length | value }
 *
 * Limits, checked on receipt (FRAME_INVALID; limits.ts has all): path 4094 bytes, name 255, batch 4 MiB, one xattr value 64 KiB, xattrs of one object 1 MiB,
 * symlink target 1 to 4095 bytes, offsets and sizes below 2^63 on the wire and below 2^53 in TypeScript, nanoseconds below 10^9, mode at most 07777.
 */
import type { Extent, FileOperation, NodeType, OperationKind } from '../domain/file-operation.ts'
import { PATH_MAX_BYTES, parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { ByteReader, invalid } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { MAX_BATCH_OPERATIONS } from './limits.ts'
import { readMetadata, writeMetadata } from './metadata-codec.ts'

declare const operationBatch: unique symbol
/** Encoded operations. */
export type OperationBatch = Buffer & { readonly [operationBatch]: true }

export const MAX_BATCH_BYTES = 4 * 1024 * 1024
const MAX_SYMLINK_BYTES = 4095

/** Codes by kind; the Rust addon has the same table. */
const KIND_CODES = {
  directory: 1, file: 2, write: 3, punch: 4, resize: 5, symlink: 6, node: 7, link: 8, rename: 9, remove: 10, metadata: 11, 'set-aside': 12,
  unshare: 13,
} as const satisfies Record<OperationKind, number>
const KINDS = new Map<number, OperationKind>([
  [1, 'directory'], [2, 'file'], [3, 'write'], [4, 'punch'], [5, 'resize'], [6, 'symlink'], [7, 'node'], [8, 'link'], [9, 'rename'], [10, 'remove'], [11, 'metadata'], [12, 'set-aside'],
  [13, 'unshare'],
])
const NODE_CODES = { fifo: 1, socket: 2, character: 3, block: 4 } as const satisfies Record<NodeType, number>
const NODE_TYPES = new Map<number, NodeType>([[1, 'fifo'], [2, 'socket'], [3, 'character'], [4, 'block']])

const FLAG_COMPLETE = 1

/** Bytes that arrived as a batch; what they hold is checked when they are decoded or applied. @throws {AppError} FRAME_INVALID over 4 MiB */
export function asOperationBatch(bytes: Buffer): OperationBatch {
  if (bytes.length > MAX_BATCH_BYTES) throw invalid(`a batch of ${String(bytes.length)} bytes`)
  return bytes as OperationBatch
}

/** One operation as a batch. @throws {RangeError} when a value does not fit its field or the batch limit */
export function encodeOperation(operation: FileOperation): OperationBatch {
  return encodeOperations([operation])
}

/** Operations as one batch, in order. @throws {RangeError} when a value does not fit its field or the batch limit */
export function encodeOperations(operations: Iterable<FileOperation>): OperationBatch {
  const to = new ByteWriter()
  for (const operation of operations) {
    const start = to.length
    to.u32(0)
    to.u8(KIND_CODES[operation.kind])
    to.u8(operation.kind === 'file' && operation.complete ? FLAG_COMPLETE : 0)
    writePath(to, operation.path)
    writeBody(to, operation)
    to.setU32(start, to.length - start - 4)
  }
  if (to.length > MAX_BATCH_BYTES) throw new RangeError(`a batch of ${String(to.length)} bytes is over the limit of ${String(MAX_BATCH_BYTES)}`)
  return to.finish() as OperationBatch
}

/** The kind that a code on the wire stands for. @throws {AppError} FRAME_INVALID when it stands for none */
export function operationKind(code: number): OperationKind {
  const kind = KINDS.get(code)
  if (kind === undefined) throw invalid(`operation kind ${String(code)}`)
  return kind
}

/** Several batches as one. @throws {RangeError} over the batch limit */
export function joinBatches(batches: readonly OperationBatch[]): OperationBatch {
  const joined = Buffer.concat(batches)
  if (joined.length > MAX_BATCH_BYTES) throw new RangeError(`a batch of ${String(joined.length)} bytes is over the limit of ${String(MAX_BATCH_BYTES)}`)
  return joined as OperationBatch
}

/**
 * The operations of a batch in order, checked one by one as they are pulled: an operation before a broken one is given. Buffers are views
 * of the batch.
 * @throws {AppError} FRAME_INVALID
 */
export function* decodeOperations(batch: OperationBatch): Generator<FileOperation, void, void> {
  if (batch.length > MAX_BATCH_BYTES) throw invalid(`a batch of ${String(batch.length)} bytes`)
  const from = new ByteReader(batch)
  for (let count = 1; from.remaining > 0; count++) {
    if (count > MAX_BATCH_OPERATIONS) throw invalid('too many operations in a batch')
    const one = from.part(from.u32())
    const kind = one.u8()
    const flags = one.u8()
    if (flags > (kind === KIND_CODES.file ? FLAG_COMPLETE : 0)) throw invalid(`operation flags ${String(flags)}`)
    const operation = readBody(one, kind, flags, readPath(one))
    one.end(`an operation "${operation.kind}"`)
    yield operation
  }
}

/** The batch with only the operations whose kind and path are kept; the batch itself when all are. @throws {AppError} FRAME_INVALID */
export function keptOperations(batch: OperationBatch, keep: (kind: OperationKind, path: RelPath) => boolean): OperationBatch {
  const from = new ByteReader(batch)
  const kept: Buffer[] = []
  // where the operations begin that are kept without a gap
  let start = 0
  while (from.remaining > 0) {
    const at = from.position
    const one = from.part(from.u32())
    const kind = operationKind(one.u8())
    one.u8()
    if (keep(kind, readPath(one))) continue
    kept.push(batch.subarray(start, at))
    start = from.position
  }
  return start === 0 ? batch : Buffer.concat([...kept, batch.subarray(start)]) as OperationBatch
}

/** An operation of a batch as its bytes, of which only kind and path were looked at. */
export interface OperationSlice { kind: OperationKind, path: RelPath, bytes: Buffer }

/** The operations of a batch in order, without a look at their bodies. @throws {AppError} FRAME_INVALID */
export function* operationSlices(batch: OperationBatch): Generator<OperationSlice, void, void> {
  const from = new ByteReader(batch)
  while (from.remaining > 0) {
    const at = from.position
    const one = from.part(from.u32())
    const kind = operationKind(one.u8())
    one.u8()
    yield { kind, path: readPath(one), bytes: batch.subarray(at, from.position) }
  }
}

function writePath(to: ByteWriter, path: RelPath): void {
  if (path.length > PATH_MAX_BYTES) throw new RangeError(`a path of ${String(path.length)} bytes`)
  to.u16(path.length)
  to.bytes(path)
}

function writeBody(to: ByteWriter, operation: FileOperation): void {
  switch (operation.kind) {
    case 'directory':
    case 'metadata':
      writeMetadata(to, operation.metadata)
      return
    case 'file':
      to.size(operation.sizeBytes)
      writeMetadata(to, operation.metadata)
      to.u32(operation.extents.length)
      for (const extent of operation.extents) writeExtent(to, extent)
      return
    case 'write':
      writeExtent(to, operation)
      return
    case 'punch':
      to.size(operation.offset)
      to.size(operation.lengthBytes)
      return
    case 'resize':
      to.size(operation.sizeBytes)
      return
    case 'symlink':
      if (operation.target.length < 1 || operation.target.length > MAX_SYMLINK_BYTES) throw new RangeError(`a symbolic link of ${String(operation.target.length)} bytes`)
      to.u16(operation.target.length)
      to.bytes(operation.target)
      writeMetadata(to, operation.metadata)
      return
    case 'node':
      to.u8(NODE_CODES[operation.nodeType])
      to.u32(operation.deviceMajor)
      to.u32(operation.deviceMinor)
      writeMetadata(to, operation.metadata)
      return
    case 'link':
      writePath(to, operation.existing)
      return
    case 'rename':
      writePath(to, operation.to)
      return
    case 'remove':
    case 'set-aside':
    case 'unshare':
      return
  }
}

function writeExtent(to: ByteWriter, extent: Extent): void {
  to.size(extent.offset)
  to.u32(extent.data.length)
  to.bytes(extent.data)
}

function readPath(from: ByteReader): RelPath {
  try {
    return parseRelPath(from.bytes(from.u16()))
  } catch (error) {
    if (isAppError(error, 'PATH_INVALID')) throw new AppError('FRAME_INVALID', `the peer sent a path that cannot be used: ${error.message}`, { cause: error })
    throw error
  }
}

function readBody(from: ByteReader, kind: number, flags: number, path: RelPath): FileOperation {
  switch (kind) {
    case KIND_CODES.directory: return { kind: 'directory', path, metadata: readMetadata(from) }
    case KIND_CODES.file: return readFile(from, flags, path)
    case KIND_CODES.write: return { kind: 'write', path, ...readExtent(from) }
    case KIND_CODES.punch: {
      const offset = from.size()
      return { kind: 'punch', path, offset, lengthBytes: checkEnd(offset, from.size()) }
    }
    case KIND_CODES.resize: return { kind: 'resize', path, sizeBytes: from.size() }
    case KIND_CODES.symlink: return { kind: 'symlink', path, target: readTarget(from), metadata: readMetadata(from) }
    case KIND_CODES.node: {
      const nodeType = NODE_TYPES.get(from.u8())
      if (nodeType === undefined) throw invalid('a node of unknown type')
      return { kind: 'node', path, nodeType, deviceMajor: from.u32(), deviceMinor: from.u32(), metadata: readMetadata(from) }
    }
    case KIND_CODES.link: return { kind: 'link', path, existing: readPath(from) }
    case KIND_CODES.rename: return { kind: 'rename', path, to: readPath(from) }
    case KIND_CODES.remove: return { kind: 'remove', path }
    case KIND_CODES['set-aside']: return { kind: 'set-aside', path }
    case KIND_CODES.unshare: return { kind: 'unshare', path }
    case KIND_CODES.metadata: return { kind: 'metadata', path, metadata: readMetadata(from) }
    default: throw invalid(`operation kind ${String(kind)}`)
  }
}

function readFile(from: ByteReader, flags: number, path: RelPath): FileOperation {
  const sizeBytes = from.size()
  const metadata = readMetadata(from)
  const count = from.u32()
  const extents: Extent[] = []
  for (let i = 0; i < count; i++) extents.push(readExtent(from))
  return { kind: 'file', path, sizeBytes, complete: flags === FLAG_COMPLETE, metadata, extents }
}

function readExtent(from: ByteReader): Extent {
  const offset = from.size()
  const data = from.bytes(from.u32())
  checkEnd(offset, data.length)
  return { offset, data }
}

/** Gives the length back when the range ends below 2^53. */
function checkEnd(offset: number, lengthBytes: number): number {
  if (!Number.isSafeInteger(offset + lengthBytes)) throw invalid('a range that ends at 2^53 or above')
  return lengthBytes
}

function readTarget(from: ByteReader): Buffer {
  const target = from.bytes(from.u16())
  if (target.length < 1 || target.length > MAX_SYMLINK_BYTES || target.includes(0)) throw invalid('the target of a symbolic link is empty, too long or holds NUL')
  return target
}
