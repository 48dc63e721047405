/** The data of a regular file on both sides, compared by hashes of blocks that both compute at the same time. Nothing is written. */
import type { RelPath } from '../domain/rel-path.ts'
import type { DataRange, SourceFile } from '../tree/source-tree.ts'
import { MAX_HASH_BLOCK_BYTES, MAX_HASHED_BYTES } from '../wire/limits.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { BLOCK_BYTES, HASH_BYTES } from './send-file.ts'

/** Hashes asked for at once. */
const WINDOW_BYTES = 8 * 1024 * 1024
/** Where the source has a hole, larger blocks are compared first: there is seldom anything to find. */
const HOLE_BLOCK_BYTES = MAX_HASH_BLOCK_BYTES
const HOLE_WINDOW_BYTES = MAX_HASHED_BYTES

export interface FileComparison { volume: number, path: RelPath, file: SourceFile, stream: OperationStream }

/**
 * Ranges of the first `sizeBytes` bytes in which the two differ, in order, as they are found; neighbours may touch. `replicaAllocated` false:
 * the replica's file has no data at all.
 */
export async function* differingRanges(work: FileComparison, sizeBytes: number, replicaAllocated: boolean, signal: AbortSignal): AsyncGenerator<DataRange> {
  let end = 0
  for (const extent of await work.file.extents(signal)) {
    const range = { from: Math.max(end, Math.floor(extent.offset / BLOCK_BYTES) * BLOCK_BYTES), to: Math.min(sizeBytes, Math.ceil((extent.offset + extent.lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES) }
    if (range.to <= range.from) continue
    yield* differingInHole(work, end, range.from, replicaAllocated, signal)
    for (let at = range.from; at < range.to; at += WINDOW_BYTES) {
      const lengthBytes = Math.min(WINDOW_BYTES, range.to - at)
      yield* differingBlocks(work, at, lengthBytes, BLOCK_BYTES, signal)
    }
    end = range.to
  }
  yield* differingInHole(work, end, sizeBytes, replicaAllocated, signal)
}

async function* differingInHole(work: FileComparison, from: number, to: number, replicaAllocated: boolean, signal: AbortSignal): AsyncGenerator<DataRange> {
  if (!replicaAllocated) return
  for (let at = from; at < to; at += HOLE_WINDOW_BYTES) {
    for await (const { offset, lengthBytes } of differingBlocks(work, at, Math.min(HOLE_WINDOW_BYTES, to - at), HOLE_BLOCK_BYTES, signal)) {
      for (let inner = offset; inner < offset + lengthBytes; inner += WINDOW_BYTES) {
        yield* differingBlocks(work, inner, Math.min(WINDOW_BYTES, offset + lengthBytes - inner), BLOCK_BYTES, signal)
      }
    }
  }
}

/** Runs of blocks that differ. */
async function* differingBlocks({ volume, path, file, stream }: FileComparison, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): AsyncGenerator<DataRange> {
  const [ours, theirs] = await Promise.all([
    file.blockHashes(offset, lengthBytes, blockBytes, signal), stream.hashes(volume, path, offset, lengthBytes, blockBytes, signal),
  ])
  const end = offset + lengthBytes
  let start = -1
  for (let at = 0, place = offset; place < end; at += HASH_BYTES, place += blockBytes) {
    const equal = ours.length >= at + HASH_BYTES && theirs.length >= at + HASH_BYTES && ours.compare(theirs, at, at + HASH_BYTES, at, at + HASH_BYTES) === 0
    if (equal && start >= 0) {
      yield { offset: start, lengthBytes: place - start }
      start = -1
    } else if (!equal && start < 0) start = place
  }
  if (start >= 0) yield { offset: start, lengthBytes: end - start }
}
