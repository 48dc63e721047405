/**
 * One cycle for one volume: every change is looked up as it is now and the replica is told. State, not log: what was marked twice is looked
 * at once, and what changes meanwhile is marked again. Order: names (a directory before what is in it), data, objects by inode, links,
 * metadata, and last the metadata of directories in which names came or went, the deepest first.
 */
import type { Change } from '../capture/change-source.ts'
import { nameOf, parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import { updateFile } from './file-content.ts'
import { keyOf, pathOfKey } from './path-key.ts'
import { replaceNames, sendNames, SMALL_FILE_BYTES } from './send-objects.ts'
import { settleLinks } from './settle-links.ts'
import { forEachAtOnce, lookAt, touchParent, type VolumeReplication } from './volume-replication.ts'

type PathChange = Extract<Change, { path: RelPath }>
type ObjectChange = Extract<Change, { kind: 'object' }>

export interface ReplicatedChanges {
  /** could not be seen to now: a walk that is not allowed yet, or a file that is looked at too often */
  postponed: readonly Change[]
  /** the volume was walked for names */
  walked: boolean
}

/**
 * Sends what makes the replica equal in what the changes name, as far as they concern this volume; none may be a rescan. What was sent is
 * flushed to the stream.
 * @throws {AppError} LINK_LOST
 */
export async function replicateChanges(of: VolumeReplication, changes: readonly Change[], signal: AbortSignal): Promise<ReplicatedChanges> {
  const entries = new Map<string, RelPath>()
  for (const change of changes) if (change.kind === 'entry') entries.set(keyOf(change.path), change.path)
  const covered = (path: RelPath): boolean => isBelowOneOf(path, entries)
  const other = changes.filter((change): change is PathChange => (change.kind === 'data' || change.kind === 'metadata')
    && !entries.has(keyOf(change.path)) && !covered(change.path))
  const postponed: Change[] = []

  await replaceEntries(of, [...entries.values()].filter(path => !covered(path)), signal)
  const metadata = other.filter(change => change.kind === 'metadata').map(({ path }) => path)
  for (const change of await sendData(of, other.filter(change => change.kind === 'data'), metadata, signal)) postponed.push(change)
  const objects = await sendByInode(of, changes.filter((change): change is ObjectChange => change.kind === 'object'), signal)
  postponed.push(...objects.postponed)
  const walked = await settleLinks(of, signal)
  await sendMetadata(of, metadata, signal)
  await sendMetadata(of, deepestFirst(of.touched), signal)
  await of.sender.flush(signal)
  return { postponed, walked: walked || objects.walked }
}

/** A directory above path is in the set: it was sent with all that is below it, or removed. */
function isBelowOneOf(path: RelPath, set: ReadonlyMap<string, RelPath>): boolean {
  const key = keyOf(path)
  for (let at = key.lastIndexOf('/'); at > 0; at = key.lastIndexOf('/', at - 1)) {
    if (set.has(key.slice(0, at))) return true
  }
  return false
}

async function replaceEntries(of: VolumeReplication, paths: readonly RelPath[], signal: AbortSignal): Promise<void> {
  const byDirectory = new Map<string, Buffer[]>()
  for (const path of paths) {
    if (path.length === 0) continue
    const directory = keyOf(parentOf(path))
    const names = byDirectory.get(directory)
    if (names === undefined) byDirectory.set(directory, [nameOf(path)])
    else names.push(nameOf(path))
  }
  for (const directory of [...byDirectory.keys()].sort()) {
    await replaceNames(of, directory === '' ? ROOT_PATH : pathOfKey(directory), byDirectory.get(directory) ?? [], signal)
  }
}

/** Sends changed data; answers what must wait, and adds to `metadata` what turned out to have no data. */
async function sendData(of: VolumeReplication, changes: readonly PathChange[], metadata: RelPath[], signal: AbortSignal): Promise<PathChange[]> {
  const looked = await forEachAtOnce(changes, async change => ({ change, entry: await lookAt(of.tree, change.path, signal) }))
  const small = new Map<string, Buffer[]>()
  const inPlace: RelPath[] = []
  const postponed: PathChange[] = []
  for (const { change, entry } of looked) {
    const { path } = change
    // gone: its removal is marked
    if (entry === undefined) continue
    if (entry.type !== 'file') {
      metadata.push(path)
      continue
    }
    if (entry.linkCount > 1) {
      of.links.note(entry.inode, path)
      // several names of it may be marked: one look at the object is enough, and settling looks at those with new names
      if (of.links.hasFresh(entry.inode) || of.seen.has(entry.inode)) continue
      inPlace.push(path)
    } else if (entry.sizeBytes <= SMALL_FILE_BYTES) {
      const directory = keyOf(parentOf(path))
      const names = small.get(directory)
      if (names === undefined) small.set(directory, [nameOf(path)])
      else names.push(nameOf(path))
      touchParent(of, path)
    } else if (of.pace.may(path)) {
      inPlace.push(path)
    } else {
      postponed.push(change)
      continue
    }
    of.seen.add(entry.inode)
  }
  for (const [directory, names] of small) await sendNames(of, directory === '' ? ROOT_PATH : pathOfKey(directory), names, signal)
  for (const path of inPlace) await of.pace.timed(path, async () => updateFile(of, path, signal))
  return postponed
}

/** Objects that changed through a name that is gone: what was not seen by another name is looked for. */
async function sendByInode(of: VolumeReplication, changes: readonly ObjectChange[], signal: AbortSignal): Promise<ReplicatedChanges> {
  const open = changes.filter(({ inode }) => !of.seen.has(inode) && !of.links.hasFresh(inode))
  if (open.length === 0) return { postponed: [], walked: false }
  if (!of.mayWalk) return { postponed: open, walked: false }
  const names = await of.changes.namesOf(of.volume, open.map(({ inode }) => inode), signal)
  const paths = [...names.values()].flatMap(found => found.slice(0, 1))
  await sendData(of, paths.map(path => ({ kind: 'data', volume: of.volume, path, atMs: 0 })), paths, signal)
  await sendMetadata(of, paths, signal)
  return { postponed: [], walked: true }
}

async function sendMetadata(of: VolumeReplication, paths: readonly RelPath[], signal: AbortSignal): Promise<void> {
  for (let at = 0; at < paths.length; at += METADATA_AT_ONCE) {
    const batches = await forEachAtOnce(paths.slice(at, at + METADATA_AT_ONCE), async path => of.tree.readMetadata(path, signal))
    for (const batch of batches) await of.sender.add(batch, signal)
  }
}

/** batches held at once: bounds what a million directories cost */
const METADATA_AT_ONCE = 256

function deepestFirst(keys: ReadonlySet<string>): RelPath[] {
  const depth = (key: string): number => key === '' ? 0 : key.split('/').length
  return [...keys].sort((a, b) => depth(b) - depth(a)).map(key => key === '' ? ROOT_PATH : pathOfKey(key))
}
