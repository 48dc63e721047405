/**
 * The content of one regular file, in pieces: whole as a new file, or in place, where only the blocks that differ from the replica's are
 * sent. Ranges are cleaned before they are read, so that a later store through mmap is noticed. A file that changes while it is read
 * arrives as a mix for now: the change has been marked, and the next cycle makes it right.
 */
import type { RelPath } from '../domain/rel-path.ts'
import { isAppError } from '../errors/app-error.ts'
import type { DataRange, SourceFile } from '../tree/source-tree.ts'
import { decodeOperations } from '../wire/operation-codec.ts'
import { stillNames, unreadable, withFile, type VolumeReplication } from './volume-replication.ts'

/** the unit in which page caches and databases write, and the hash of it 16 bytes */
const BLOCK_BYTES = 4096
const HASH_BYTES = 16
/** hashes asked for at once: 32 KiB of them */
const WINDOW_BYTES = 8 * 1024 * 1024
const PIECE_BYTES = 256 * 1024

/** Sends the file with all its data. What the replica has under its name is overwritten: remove it first where it may be another object. */
export async function sendWholeFile(of: VolumeReplication, path: RelPath, signal: AbortSignal): Promise<void> {
  await withFile(of, path, signal, async file => {
    await file.clean(0, file.sizeBytes, signal)
    for (const operation of decodeOperations(await file.metadata(signal))) {
      if (operation.kind !== 'metadata') continue
      await of.sender.operation({ kind: 'file', path, sizeBytes: file.sizeBytes, complete: false, metadata: operation.metadata, extents: [] }, signal)
    }
    for (const extent of await file.extents(signal)) await sendRange(of, file, path, extent, signal)
    await of.sender.add(await file.metadata(signal), signal)
  })
}

/**
 * Makes the replica's file equal in place: size, holes, the blocks that differ, metadata. Its other names on the replica see it too. False,
 * and nothing was sent, when path does not name the object any more.
 */
export async function updateFile(of: VolumeReplication, path: RelPath, inode: bigint, signal: AbortSignal): Promise<boolean> {
  let done = false
  await withFile(of, path, signal, async file => {
    if (!await stillNames(of, path, inode, signal)) return
    done = true
    const size = file.sizeBytes
    await file.clean(0, size, signal)
    const extents = await file.extents(signal)
    await of.sender.operation({ kind: 'resize', path, sizeBytes: size }, signal)
    for (const hole of holesBetween(extents, size)) {
      await of.sender.operation({ kind: 'punch', path, offset: hole.offset, lengthBytes: hole.lengthBytes }, signal)
    }
    if (size > 0) {
      await of.sender.applied(signal)
      await sendDifferingBlocks(of, file, path, windowsOver(extents, size), signal)
    }
    await of.sender.add(await file.metadata(signal), signal)
  })
  return done
}

/** Windows of the file, on window boundaries, that hold data. */
function windowsOver(extents: readonly DataRange[], sizeBytes: number): DataRange[] {
  const windows: DataRange[] = []
  let next = 0
  for (const { offset, lengthBytes } of extents) {
    for (let at = Math.max(next, Math.floor(offset / WINDOW_BYTES) * WINDOW_BYTES); at < Math.min(offset + lengthBytes, sizeBytes); at += WINDOW_BYTES) {
      windows.push({ offset: at, lengthBytes: Math.min(WINDOW_BYTES, sizeBytes - at) })
      next = at + WINDOW_BYTES
    }
  }
  return windows
}

/** What no extent covers, up to the size. */
export function holesBetween(extents: readonly DataRange[], sizeBytes: number): DataRange[] {
  const holes: DataRange[] = []
  let at = 0
  for (const { offset, lengthBytes } of extents) {
    if (offset > at) holes.push({ offset: at, lengthBytes: Math.min(offset, sizeBytes) - at })
    at = Math.max(at, offset + lengthBytes)
    if (at >= sizeBytes) break
  }
  if (at < sizeBytes) holes.push({ offset: at, lengthBytes: sizeBytes - at })
  return holes.filter(hole => hole.lengthBytes > 0)
}

/** The hashes of both sides of a window; the source's are missing when it cannot be read. */
interface WindowHashes { ours: Buffer | undefined, theirs: Buffer }

async function sendDifferingBlocks(of: VolumeReplication, file: SourceFile, path: RelPath, windows: readonly DataRange[], signal: AbortSignal): Promise<void> {
  const hash = async (window: DataRange | undefined): Promise<WindowHashes | undefined> => {
    if (window === undefined) return undefined
    const { offset, lengthBytes } = window
    const [ours, theirs] = await Promise.all([
      orUnreadable(of, path, async () => file.blockHashes(offset, lengthBytes, BLOCK_BYTES, signal)),
      of.stream.hashes(of.volume, path, offset, lengthBytes, BLOCK_BYTES, signal),
    ])
    return { ours, theirs }
  }
  let ahead = await hash(windows[0])
  for (const [at, window] of windows.entries()) {
    const now = ahead
    // hash the next window while this one is read and sent
    const [next] = await Promise.all([hash(windows[at + 1]), now === undefined ? undefined : sendWindow(of, file, path, window, now, signal)])
    ahead = next
  }
}

async function sendWindow(of: VolumeReplication, file: SourceFile, path: RelPath, window: DataRange, hashes: WindowHashes, signal: AbortSignal): Promise<void> {
  // without our hashes: what can be read is sent piece by piece, and the rest is reported
  if (hashes.ours === undefined) return sendRange(of, file, path, window, signal)
  for (const run of differingRuns(hashes.ours, hashes.theirs, window)) await sendRange(of, file, path, run, signal)
}

/** Neighbouring blocks whose hashes differ, as ranges of the file. */
function differingRuns(ours: Buffer, theirs: Buffer, window: DataRange): DataRange[] {
  const runs: DataRange[] = []
  const end = window.offset + window.lengthBytes
  for (let at = 0; at < ours.length; at += HASH_BYTES) {
    if (at + HASH_BYTES <= theirs.length && ours.compare(theirs, at, at + HASH_BYTES, at, at + HASH_BYTES) === 0) continue
    const offset = window.offset + at / HASH_BYTES * BLOCK_BYTES
    const lengthBytes = Math.min(BLOCK_BYTES, end - offset)
    const last = runs.at(-1)
    if (last !== undefined && last.offset + last.lengthBytes === offset) last.lengthBytes += lengthBytes
    else runs.push({ offset, lengthBytes })
  }
  return runs
}

async function sendRange(of: VolumeReplication, file: SourceFile, path: RelPath, range: DataRange, signal: AbortSignal): Promise<void> {
  const end = range.offset + range.lengthBytes
  for (let offset = range.offset; offset < end; offset += PIECE_BYTES) {
    const wanted = Math.min(PIECE_BYTES, end - offset)
    const data = await orUnreadable(of, path, async () => file.read(offset, wanted, signal))
    if (data === undefined) continue
    if (data.length > 0) await of.sender.operation({ kind: 'write', path, offset, data }, signal)
    // it shrank meanwhile
    if (data.length < wanted) return
  }
}

async function orUnreadable<T>(of: VolumeReplication, path: RelPath, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
    of.findings.push(unreadable(path, error.message))
    return undefined
  }
}
