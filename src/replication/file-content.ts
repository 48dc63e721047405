/**
 * The content of one regular file, in pieces: whole as a new file, or in place, where only the blocks that differ from the replica's are
 * sent. Ranges are cleaned before they are read, so that a later store through mmap is noticed. A file that changes while it is read
 * arrives as a mix for now: the change has been marked, and the next cycle makes it right.
 */
import type { RelPath } from '../domain/rel-path.ts'
import type { ChangedRange } from '../capture/changed-range.ts'
import { isAppError } from '../errors/app-error.ts'
import { metadataToEnd } from '../tree/metadata-to-end.ts'
import type { DataRange, SourceFile } from '../tree/source-tree.ts'
import { decodeOperations, type OperationBatch } from '../wire/operation-codec.ts'
import { askedAtOnce, sortOut } from './content-plan.ts'
import { forEachAtOnce, lookAtAll, metadataOfAll, openToRead, orUnreadable, unlessError, unreadable, type VolumeReplication } from './volume-replication.ts'

/** the unit in which page caches and databases write, and the hash of it 16 bytes */
const BLOCK_BYTES = 4096
const HASH_BYTES = 16
const PIECE_BYTES = 256 * 1024
/** pieces that are held at once */
const READ_AT_ONCE = 8

/**
 * Sends the file with all its data. What the replica has under its name is overwritten: remove it first where it may be another object.
 * False when nothing was sent: it is gone, or cannot be read, which is a finding.
 */
export async function sendWholeFile(of: VolumeReplication, path: RelPath, signal: AbortSignal): Promise<boolean> {
  await using file = await openToRead(of, path, signal)
  if (file === undefined) return false
  // all that may fail of the whole file comes before anything is sent
  const known = await orUnreadable(of, path, async () => {
    await file.clean(0, file.sizeBytes, signal)
    return { before: await file.metadata(signal), extents: await file.extents(signal) }
  })
  if (known === undefined) return false
  const { before, extents } = known
  for (const operation of decodeOperations(before)) {
    if (operation.kind !== 'metadata') continue
    await of.sender.operation({ kind: 'file', path, sizeBytes: file.sizeBytes, complete: false, metadata: operation.metadata, extents: [] }, signal)
  }
  await sendPieces(of, extents.map(extent => ({ ...extent, file, path })), signal)
  await of.sender.add(await endOf(of, path, before, file, signal), signal)
  return true
}

/** The metadata as it is now, if it can be read; beside a mirror, which may be interrupted, with the times from before the file was read. */
async function endOf(of: VolumeReplication, path: RelPath, before: OperationBatch | undefined, file: SourceFile, signal: AbortSignal): Promise<OperationBatch | undefined> {
  return await orUnreadable(of, path, async () => of.besideMirror && before !== undefined ? metadataToEnd(before, file, signal) : file.metadata(signal))
}

/** As endOf, of several: most are still what their paths name, and seen with one call. */
async function endsOf(of: VolumeReplication, files: readonly { path: RelPath, inode: bigint, file: SourceFile, before: OperationBatch | undefined }[], signal: AbortSignal): Promise<(OperationBatch | undefined)[]> {
  const seen = of.besideMirror ? [] : await metadataOfAll(of.tree, files.map(({ path }) => path), signal)
  return await forEachAtOnce([...files.entries()], async ([at, { path, inode, file, before }]) => {
    const one = unlessError(seen[at])
    return one?.inode === inode && one.batch !== undefined ? one.batch : await endOf(of, path, before, file, signal)
  })
}

/** A file that is made equal in place. */
export interface InPlace {
  path: RelPath
  inode: bigint
  /** where its content may have changed, in order and without overlaps; undefined: anywhere */
  ranges: readonly ChangedRange[] | undefined
  /** it has one name, and the replica may have another object there, with further ones */
  unshare?: boolean
}

/**
 * Makes the replica's files equal in place: size, holes, the blocks that differ, metadata; content only in the ranges where they are given.
 * Their other names on the replica see it too. False for a file of which nothing was sent, because path does not name the object any more;
 * of one that cannot be opened nothing is sent either, but that is a finding, and to look again at once would be in vain.
 */
export async function updateFiles(of: VolumeReplication, files: readonly InPlace[], signal: AbortSignal): Promise<boolean[]> {
  const done: boolean[] = []
  for (let at = 0; at < files.length; at += OPEN_AT_ONCE) done.push(...await updateOpened(of, files.slice(at, at + OPEN_AT_ONCE), signal))
  return done
}

/** As updateFiles, of one file. */
export async function updateFile(of: VolumeReplication, file: InPlace, signal: AbortSignal): Promise<boolean> {
  const [done] = await updateFiles(of, [file], signal)
  return done === true
}

const EVERYWHERE: ChangedRange = { offset: 0, lengthBytes: Number.MAX_SAFE_INTEGER, sure: false }
/** files that are updated together: they wait for the replica once */
const OPEN_AT_ONCE = 64

/** A part of an open file. */
interface Piece extends DataRange { file: SourceFile, path: RelPath }

/**
 * Size, and content in the ranges: they are cleaned, their holes punched, what was surely stored to is sent, and the rest is compared with the
 * replica's blocks.
 */
async function updateOpened(of: VolumeReplication, files: readonly InPlace[], signal: AbortSignal): Promise<boolean[]> {
  await using open = new AsyncDisposableStack()
  const asked = files.map(({ path, inode, ranges = [EVERYWHERE], unshare = false }) => ({ path, inode, ranges, unshare }))
  const paths = files.map(({ path }) => path)
  const before = of.besideMirror ? await metadataOfAll(of.tree, paths, signal) : undefined
  const opened = (await of.tree.openSettled(asked, signal)).map(one => (isAppError(one) ? one : { ...one, file: open.use(one.file) }))
  const found = await lookAtAll(of.tree, paths, signal)
  // those that are still what they were taken for
  const named = asked.map((one, at) => {
    const settled = opened[at]
    const seen = before?.[at]
    if (isAppError(found[at])) return found[at]
    if (found[at]?.inode !== one.inode) return undefined
    if (isAppError(settled, 'SOURCE_UNREADABLE')) return settled
    if (isAppError(seen)) return seen
    if (settled === undefined || isAppError(settled) || (before !== undefined && (seen?.inode !== one.inode || seen.batch === undefined))) return undefined
    return { ...one, ...settled, before: seen?.batch }
  })
  const sent = named.flatMap(one => one === undefined || isAppError(one) ? [] : [one])
  for (const [at, one] of named.entries()) {
    const path = paths[at]
    if (path !== undefined && isAppError(one)) of.findings.push(unreadable(path, one.message))
  }
  const sure: Piece[] = []
  const compared: Piece[] = []
  for (const { path, ranges, unshare, file, extents } of sent) {
    const { sizeBytes } = file
    if (unshare) await of.sender.operation({ kind: 'unshare', path }, signal)
    await of.sender.operation({ kind: 'resize', path, sizeBytes }, signal)
    const plan = sortOut(ranges, extents, sizeBytes)
    for (const hole of plan.holes) await of.sender.operation({ kind: 'punch', path, ...hole }, signal)
    for (const run of plan.sure) sure.push({ ...run, file, path })
    for (const window of plan.compared) compared.push({ ...window, file, path })
  }
  await sendPieces(of, sure, signal)
  if (compared.length > 0) {
    await of.sender.applied(signal)
    await sendDifferingBlocks(of, compared, signal)
  }
  for (const batch of await endsOf(of, sent, signal)) await of.sender.add(batch, signal)
  return named.map(one => one !== undefined)
}

/** The hashes of both sides of a window; the source's are missing when it cannot be read. */
interface WindowHashes { ours: Buffer | undefined, theirs: Buffer }

async function sendDifferingBlocks(of: VolumeReplication, windows: readonly Piece[], signal: AbortSignal): Promise<void> {
  const hash = async (group: readonly Piece[]): Promise<WindowHashes[]> => await Promise.all(group.map(async ({ file, path, offset, lengthBytes }) => {
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
    // hash the next ones while these are read and sent
    const [next] = await Promise.all([hash(groups[at + 1] ?? []), sendPieces(of, group.flatMap((window, i) => differing(window, now[i])), signal)])
    ahead = next
  }
}

/** What of a window is to be sent. Without our hashes: what can be read is sent piece by piece, and the rest is reported. */
function differing(window: Piece, hashes: WindowHashes | undefined): Piece[] {
  if (hashes?.ours === undefined) return [window]
  return differingRuns(hashes.ours, hashes.theirs, window).map(run => ({ ...window, ...run }))
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

async function sendPieces(of: VolumeReplication, ranges: readonly Piece[], signal: AbortSignal): Promise<void> {
  const readings = readTogether(ranges)
  for (let at = 0; at < readings.length; at += READ_AT_ONCE) {
    const read = await forEachAtOnce(readings.slice(at, at + READ_AT_ONCE), async pieces => await readPieces(of, pieces, signal))
    for (const batch of read.flat()) await of.sender.add(batch, signal)
  }
}

/** The ranges in pieces, and those of a file that are one call together: of one file, and no more data than the largest piece. */
function readTogether(ranges: readonly Piece[]): Piece[][] {
  const readings: Piece[][] = []
  let bytes = 0
  for (const range of ranges) {
    for (let at = 0; at < range.lengthBytes; at += PIECE_BYTES) {
      const piece = { ...range, offset: range.offset + at, lengthBytes: Math.min(PIECE_BYTES, range.lengthBytes - at) }
      const last = readings.at(-1)
      bytes += piece.lengthBytes
      if (last?.[0]?.file === piece.file && bytes <= PIECE_BYTES) last.push(piece)
      else {
        readings.push([piece])
        bytes = piece.lengthBytes
      }
    }
  }
  return readings
}

/** Pieces of one file. Where any cannot be read, each is tried by itself. */
async function readPieces(of: VolumeReplication, pieces: readonly Piece[], signal: AbortSignal): Promise<OperationBatch[]> {
  const [first] = pieces
  if (first === undefined) return []
  if (pieces.length > 1) {
    try {
      return [await first.file.readWrites(pieces, signal)]
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
    }
  }
  const read = await Promise.all(pieces.map(async piece => await orUnreadable(of, piece.path, async () => await piece.file.readWrites([piece], signal))))
  return read.filter(batch => batch !== undefined)
}
