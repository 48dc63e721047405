/**
 * One regular file in pieces: whole when the replica has none, else only the blocks that differ. A file that changes meanwhile arrives as
 * a mix; capture has marked it, and replication makes it right. Its times on the replica are those from before the first byte was read, which
 * the source's have left behind, so that a later mirror does not take it for equal either.
 */
import { isAppError } from '../errors/app-error.ts'
import { display, type RelPath } from '../domain/rel-path.ts'
import type { Finding } from '../domain/finding.ts'
import { metadataToEnd } from '../tree/metadata-to-end.ts'
import type { DataRange, SourceFile } from '../tree/source-tree.ts'
import { decodeOperations, encodeOperation, type OperationBatch } from '../wire/operation-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { BatchSender } from './batch-sender.ts'
import type { FileTally } from './tally.ts'

/** Block of the comparison: the unit in which databases and page caches write. */
export const BLOCK_BYTES = 4096
/** Hashes asked for at once. */
const WINDOW_BYTES = 8 * 1024 * 1024
/** A larger hole is made without asking whether the replica has one: a file can have terabytes of it. */
const MAX_COMPARED_HOLE_BYTES = 256 * 1024 * 1024

export interface FileSending { volume: number, path: RelPath, file: SourceFile, sender: BatchSender, stream: OperationStream, tally: Pick<FileTally, 'sent' | 'equal'> }

/** Sends the file as a new one. Gives findings for ranges that could not be read; what they held is a hole on the replica. */
export async function sendWhole(sending: FileSending, signal: AbortSignal): Promise<readonly Finding[]> {
  const { file, path, sender } = sending
  const metadata = await file.metadata(signal)
  for (const operation of decodeOperations(metadata)) {
    if (operation.kind !== 'metadata') continue
    await sender.add(encodeOperation({ kind: 'file', path, sizeBytes: file.sizeBytes, complete: false, metadata: operation.metadata, extents: [] }), signal)
  }
  const findings: Finding[] = []
  for (const range of await file.extents(signal)) await sendRange(sending, range, findings, signal)
  await sender.add(await metadataToEnd(metadata, file, signal), signal)
  return findings
}

/** What the replica has of a file whose difference is sent. */
export interface ReplicaFile { sizeBytes: number, allocatedBytes: number }

export interface Difference { findings: readonly Finding[], changed: boolean }

/**
 * Sends the blocks of the file that the replica's differs in, makes holes where the source has some, then size and metadata. `forced`:
 * the metadata is sent even when no block differs.
 */
export async function sendDifference(sending: FileSending, replica: ReplicaFile, sourceAllocatedBytes: number, forced: boolean, signal: AbortSignal): Promise<Difference> {
  const { file, path, sender, tally } = sending
  const findings: Finding[] = []
  const metadata = await file.metadata(signal)
  let changed = false
  if (replica.sizeBytes !== file.sizeBytes) {
    await sender.add(encodeOperation({ kind: 'resize', path, sizeBytes: file.sizeBytes }), signal)
    changed = true
  }
  const ranges = (await file.extents(signal)).map(range => aligned(range, file.sizeBytes))
  const punch = replica.allocatedBytes > sourceAllocatedBytes || replica.sizeBytes !== file.sizeBytes
  let end = 0
  for (const range of ranges) {
    if (range.offset > end && await differsInHole(sending, { offset: end, lengthBytes: range.offset - end }, replica, punch, signal)) changed = true
    for (let offset = Math.max(range.offset, end); offset < range.offset + range.lengthBytes; offset += WINDOW_BYTES) {
      const window = { offset, lengthBytes: Math.min(WINDOW_BYTES, range.offset + range.lengthBytes - offset) }
      const runs = await differingRuns(sending, window, signal)
      tally.equal(runs.reduce((left, run) => left - run.lengthBytes, window.lengthBytes))
      for (const run of runs) {
        await sendRange(sending, run, findings, signal)
        changed = true
      }
    }
    end = Math.max(end, range.offset + range.lengthBytes)
  }
  if (file.sizeBytes > end && await differsInHole(sending, { offset: end, lengthBytes: file.sizeBytes - end }, replica, punch, signal)) changed = true
  if (changed || forced) await sender.add(await metadataToEnd(metadata, file, signal), signal)
  return { findings, changed }
}

/** The range widened to whole blocks, within the file. */
function aligned(range: DataRange, sizeBytes: number): DataRange {
  const offset = Math.floor(range.offset / BLOCK_BYTES) * BLOCK_BYTES
  const end = Math.min(sizeBytes, Math.ceil((range.offset + range.lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES)
  return { offset, lengthBytes: Math.max(0, end - offset) }
}

/** Where the source has a hole, the replica gets one, unless it has nothing there for sure. */
async function differsInHole(sending: FileSending, gap: DataRange, replica: ReplicaFile, punch: boolean, signal: AbortSignal): Promise<boolean> {
  if (replica.allocatedBytes === 0 || gap.offset >= replica.sizeBytes) return false
  const { path, sender } = sending
  if (!punch && gap.lengthBytes <= MAX_COMPARED_HOLE_BYTES && !await holdsData(sending, { ...gap, lengthBytes: Math.min(gap.lengthBytes, replica.sizeBytes - gap.offset) }, signal)) return false
  await sender.add(encodeOperation({ kind: 'punch', path, offset: gap.offset, lengthBytes: gap.lengthBytes }), signal)
  return true
}

async function holdsData(sending: FileSending, gap: DataRange, signal: AbortSignal): Promise<boolean> {
  for (let offset = gap.offset; offset < gap.offset + gap.lengthBytes; offset += WINDOW_BYTES) {
    const window = { offset, lengthBytes: Math.min(WINDOW_BYTES, gap.offset + gap.lengthBytes - offset) }
    if ((await differingRuns(sending, window, signal)).length > 0) return true
  }
  return false
}

export const HASH_BYTES = 16

/** Runs of blocks in the window that differ. Both sides hash at the same time. */
async function differingRuns(sending: FileSending, window: DataRange, signal: AbortSignal): Promise<readonly DataRange[]> {
  const { file, path, sender, stream, volume } = sending
  await sender.flush(signal) // the replica answers for what it was sent before
  const [ours, theirs] = await Promise.all([
    orUnreadable(file.blockHashes(window.offset, window.lengthBytes, BLOCK_BYTES, signal)),
    stream.hashes(volume, path, window.offset, window.lengthBytes, BLOCK_BYTES, signal),
  ])
  // it is read in pieces, and what cannot be read is told
  if (ours === undefined) return [window]
  const runs: { offset: number, lengthBytes: number }[] = []
  const end = window.offset + window.lengthBytes
  for (let at = 0, offset = window.offset; at < ours.length; at += HASH_BYTES, offset += BLOCK_BYTES) {
    if (theirs.length >= at + HASH_BYTES && ours.compare(theirs, at, at + HASH_BYTES, at, at + HASH_BYTES) === 0) continue
    const lengthBytes = Math.min(BLOCK_BYTES, end - offset)
    const last = runs.at(-1)
    if (last !== undefined && last.offset + last.lengthBytes === offset) last.lengthBytes += lengthBytes
    else runs.push({ offset, lengthBytes })
  }
  return runs
}

async function orUnreadable<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
    return undefined
  }
}

/** Sends the data of a range; the next piece is read while the last one goes out. */
async function sendRange(sending: FileSending, range: DataRange, findings: Finding[], signal: AbortSignal): Promise<void> {
  const { sender, stream, tally } = sending
  const end = range.offset + range.lengthBytes
  let length = Math.min(stream.pieceBytes, range.lengthBytes)
  let next = readPiece(sending, range.offset, length, findings, signal)
  for (let offset = range.offset; offset < end;) {
    const pieces = await next
    const read = length
    offset += read
    if (offset < end) {
      length = Math.min(stream.pieceBytes, end - offset)
      next = readPiece(sending, offset, length, findings, signal)
      next.catch(() => undefined) // awaited in the next turn; a failing send must not leave it unhandled
    }
    for (const piece of pieces) await sender.add(piece, signal)
    tally.sent(read)
  }
}

/** Reads a piece, as operations `write`; around blocks that cannot be read everything else is kept and the blocks become a finding. */
async function readPiece(sending: FileSending, offset: number, lengthBytes: number, findings: Finding[], signal: AbortSignal): Promise<readonly OperationBatch[]> {
  const { file, path } = sending
  try {
    return [await file.readWrites([{ offset, lengthBytes }], signal)]
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
  }
  const pieces: OperationBatch[] = []
  const unreadable: DataRange[] = []
  for (let at = offset; at < offset + lengthBytes; at += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, offset + lengthBytes - at)
    try {
      pieces.push(await file.readWrites([{ offset: at, lengthBytes: length }], signal))
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
      const last = unreadable.at(-1)
      if (last !== undefined && last.offset + last.lengthBytes === at) last.lengthBytes += length
      else unreadable.push({ offset: at, lengthBytes: length })
    }
  }
  for (const range of unreadable) findings.push(unreadableRange(path, range))
  return pieces
}

function unreadableRange(path: RelPath, range: DataRange): Finding {
  return {
    code: 'FILE_UNREADABLE', severity: 'error', subject: display(path),
    message: `${display(path)}: bytes ${String(range.offset)} to ${String(range.offset + range.lengthBytes - 1)} cannot be read on the source; the replica has zeros there, or what was copied earlier.`,
    advice: 'Check the disk of the source; restore the file from a backup if it matters.',
  }
}
