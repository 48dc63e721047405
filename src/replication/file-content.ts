/**
 * The content of one regular file, in pieces: whole as a new file, or in place, where only the blocks that differ from the replica's are
 * sent. Ranges are cleaned before they are read, so that a later store through mmap is noticed. A file that changes while it is read
 * arrives as a mix for now: the change has been marked, and the next cycle makes it right.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { ChangedRange } from '../capture/changed-range.ts'
import { isAppError } from '../errors/app-error.ts'
import type { DataRange, SourceFile } from '../tree/source-tree.ts'
import { decodeOperations } from '../wire/operation-codec.ts'
import { askedAtOnce, sortOut } from './content-plan.ts'
import { stillNames, unreadable, withFile, type VolumeReplication } from './volume-replication.ts'

/** the unit in which page caches and databases write, and the hash of it 16 bytes */
const BLOCK_BYTES = 4096
const HASH_BYTES = 16
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
 * Makes the replica's file equal in place: size, holes, the blocks that differ, metadata; content only in `ranges` where they are given. Its
 * other names on the replica see it too. False, and nothing was sent, when path does not name the object any more.
 */
export async function updateFile(of: VolumeReplication, path: RelPath, inode: bigint, ranges: readonly ChangedRange[] | undefined, signal: AbortSignal): Promise<boolean> {
  let done = false
  await withFile(of, path, signal, async file => {
    if (!await stillNames(of, path, inode, signal)) return
    done = true
    await sendContent(of, file, path, ranges ?? [EVERYWHERE], signal)
    await of.sender.add(await file.metadata(signal), signal)
  })
  return done
}

const EVERYWHERE: ChangedRange = { offset: 0, lengthBytes: Number.MAX_SAFE_INTEGER, sure: false }

/**
 * Size, and content in the ranges (in order, without overlaps): they are cleaned, their holes punched, what was surely stored to is sent, and
 * the rest is compared with the replica's blocks.
 */
async function sendContent(of: VolumeReplication, file: SourceFile, path: RelPath, ranges: readonly ChangedRange[], signal: AbortSignal): Promise<void> {
  const { sizeBytes, extents } = await file.settleRanges(ranges, signal)
  await of.sender.operation({ kind: 'resize', path, sizeBytes }, signal)
  const { holes, sure, compared } = sortOut(ranges, extents, sizeBytes)
  for (const hole of holes) await of.sender.operation({ kind: 'punch', path, ...hole }, signal)
  for (const run of sure) await sendRange(of, file, path, run, signal)
  if (compared.length === 0) return
  await of.sender.applied(signal)
  await sendDifferingBlocks(of, file, path, compared, signal)
}

/** The hashes of both sides of a window; the source's are missing when it cannot be read. */
interface WindowHashes { ours: Buffer | undefined, theirs: Buffer }

async function sendDifferingBlocks(of: VolumeReplication, file: SourceFile, path: RelPath, windows: readonly DataRange[], signal: AbortSignal): Promise<void> {
  const hash = async (group: readonly DataRange[]): Promise<WindowHashes[]> => await Promise.all(group.map(async ({ offset, lengthBytes }) => {
    const [ours, theirs] = await Promise.all([
      orUnreadable(of, path, async () => file.blockHashes(offset, lengthBytes, BLOCK_BYTES, signal)),
      of.stream.hashes(of.volume, path, offset, lengthBytes, BLOCK_BYTES, signal),
    ])
    return { ours, theirs }
  }))
  const groups = askedAtOnce(windows)
  let ahead = await hash(groups[0] ?? [])
  for (const [at, group] of groups.entries()) {
    const now = ahead
    const send = async (): Promise<void> => {
      for (const [index, hashes] of now.entries()) {
        const window = group[index]
        if (window !== undefined) await sendWindow(of, file, path, window, hashes, signal)
      }
    }
    // hash the next ones while these are read and sent
    const [next] = await Promise.all([hash(groups[at + 1] ?? []), send()])
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
