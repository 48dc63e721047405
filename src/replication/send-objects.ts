/** Whole objects as they are now: those that are named, and everything below a directory that is new to the replica. */
import type { Finding } from '../domain/finding.ts'
import { childPath, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { listingEntries, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import { sendWholeFile } from './file-content.ts'
import { inTheWay } from '../tree/in-the-way.ts'
import { listUnlessBroken, lookAtAll, orUnreadable, touchParent, unreadable, type VolumeReplication } from './volume-replication.ts'

/** Files up to this size travel whole with their metadata in one operation: cheaper than to ask what the replica has. */
export const SMALL_FILE_BYTES = 256 * 1024
const MAX_BATCH_BYTES = 1024 * 1024
/** what a file that vanished between looking and reading is reported as: its removal is marked, so it is no news */
const VANISHED = 'FILE_VANISHED'

/**
 * Gives the replica what these paths name now, whatever it had there before: another object may stand behind the name. None lies below
 * another. What the replica has elsewhere is moved. Objects with several names wait for the settling of links. What cannot be looked at is
 * told, and what the replica has there stays.
 */
export async function replaceNames(of: VolumeReplication, named: readonly RelPath[], signal: AbortSignal): Promise<void> {
  const plain: RelPath[] = []
  const directories: RelPath[] = []
  const { paths, looked } = await lookable(of, named, signal)
  // what the replica has goes first: else a `file` operation would go into the object that is there, and into its other names
  const staying = await of.removal.names(paths, async () => { await of.sender.applied(signal) }, signal)
  for (const [at, path] of paths.entries()) {
    const entry = looked[at]
    touchParent(of, path)
    of.looked.whole(path)
    of.coverage.set(path, 'whole')
    if (entry === undefined) continue
    const stays = staying.get(at)
    if (stays !== undefined && !(stays === 'directory' && entry.type === 'directory')) {
      of.findings.push(inTheWay(path))
      continue
    }
    await makeRoom(of, path, entry, signal)
    if (await of.moving.place(path, entry, signal)) {
      of.coverage.set(path, 'moved')
      continue
    }
    if (take(of, path, entry)) plain.push(path)
    if (entry.type === 'directory') directories.push(path)
  }
  await sendPaths(of, plain, signal)
  for (const path of directories) await sendBelow(of, path, signal)
}

/**
 * Where deleted names stay, one that was deleted still leads to its object, which may have further names: what takes the name now must not
 * be written into it. A directory is made of what is there, and keeps what is in it; by the time that it is read the name may be another file's.
 */
async function makeRoom(of: VolumeReplication, path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
  if (of.keepsDeleted) await of.sender.operation({ kind: entry.type === 'directory' ? 'unshare' : 'remove', path }, signal)
}

/** Those of the paths that can be looked at, and what is there. */
async function lookable(of: VolumeReplication, named: readonly RelPath[], signal: AbortSignal): Promise<{ paths: RelPath[], looked: (ListingEntry | undefined)[] }> {
  const found = await lookAtAll(of.tree, named, signal)
  const paths: RelPath[] = []
  const looked: (ListingEntry | undefined)[] = []
  for (const [at, path] of named.entries()) {
    const entry = found[at]
    if (isAppError(entry)) {
      of.findings.push(unreadable(path, entry.message))
      of.unknown.push(path)
      continue
    }
    paths.push(path)
    looked.push(entry)
  }
  return { paths, looked }
}

/** Notes what is known of an object that is about to be sent; false when it waits for the settling of links, or for the end of a mirror. */
function take(of: VolumeReplication, path: RelPath, entry: ListingEntry): boolean {
  if (entry.type !== 'directory' && entry.linkCount > 1) {
    if (of.besideMirror) {
      of.again.push({ kind: 'entry', volume: of.volume, path, atMs: of.atMs })
      return false
    }
    of.links.addFresh(entry.inode, path)
    return false
  }
  if (of.wanted.has(entry.inode)) of.seen.add(entry.inode)
  return true
}

/** Sends what is at the paths: directories without what is in them, files with their data. False when nothing was sent. */
export async function sendPaths(of: VolumeReplication, paths: readonly RelPath[], signal: AbortSignal): Promise<boolean> {
  let sent = false
  for (let rest = paths; rest.length > 0;) {
    const result = await of.tree.read(rest, { smallFileBytes: SMALL_FILE_BYTES, maxBatchBytes: MAX_BATCH_BYTES, clean: true }, signal)
    await of.sender.add(result.batch, signal)
    sent ||= result.batch.length > 0
    of.findings.push(...result.findings.filter(finding => finding.code !== VANISHED))
    for (const index of result.large) {
      const path = rest[index]
      if (path !== undefined && await sendWholeFile(of, path, signal)) sent = true
    }
    if (result.taken === 0) throw new AppError('INTERNAL', 'a source tree has read nothing of what it was asked for')
    rest = rest.slice(result.taken)
  }
  return sent
}

/** Sends everything below a directory that the replica has empty, but for names that were deleted and stay, as far as it can be listed; then its times. */
async function sendBelow(of: VolumeReplication, directory: RelPath, signal: AbortSignal): Promise<void> {
  const directories: RelPath[] = []
  const broken = (finding: Finding): void => { of.findings.push(finding) }
  for await (const page of listUnlessBroken(of.tree, directory, broken, signal)) directories.push(...await sendPage(of, directory, page, signal))
  for (const path of directories) await sendBelow(of, path, signal)
  await of.sender.add(await orUnreadable(of, directory, async () => of.tree.readMetadata(directory, signal)), signal)
}

/** Sends what a page lists; answers the directories in it, which the replica has empty. */
async function sendPage(of: VolumeReplication, directory: RelPath, page: ListingPage, signal: AbortSignal): Promise<RelPath[]> {
  const directories: RelPath[] = []
  const paths: RelPath[] = []
  for (const entry of listingEntries(page)) {
    const path = childPath(directory, entry.name)
    // the mirror's finding
    if (path === undefined) continue
    await makeRoom(of, path, entry, signal)
    if (await of.moving.place(path, entry, signal)) {
      of.coverage.set(path, 'moved')
      continue
    }
    if (!take(of, path, entry)) continue
    paths.push(path)
    if (entry.type === 'directory') directories.push(path)
  }
  await sendPaths(of, paths, signal)
  return directories
}
