/**
 * One cycle for one volume: every change is looked up as it is now and the replica is told. State, not log: what was marked twice is looked
 * at once, and what changes meanwhile is marked again. Order: names (a directory before what is in it; moving.ts tells how what was renamed
 * is moved), data, objects by inode, links, metadata, and last the metadata of directories in which names came or went, the deepest first.
 */
import type { Change, Move, ObjectIdentity } from '../capture/change-source.ts'
import { joinRanges, type ChangedRange } from '../capture/changed-range.ts'
import { parentOf, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import { isAppError, type AppError } from '../errors/app-error.ts'
import type { SeenMetadata } from '../tree/source-tree.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import { updateFile, updateFiles, type InPlace } from './file-content.ts'
import type { Placed } from './moving.ts'
import { isBelowOneOf, keyOf, pathOfKey } from './path-key.ts'
import { replicaHas, type ReplicaHas } from './replica-has.ts'
import { replaceNames, sendPaths, SMALL_FILE_BYTES } from './send-objects.ts'
import { settleLinks } from './settle-links.ts'
import { lookAtAll, metadataInParts, touchParent, unlessError, unreadable, type VolumeReplication } from './volume-replication.ts'

type PathChange = Extract<Change, { path: RelPath }>
type EntryChange = Extract<PathChange, { kind: 'entry' }>
type ContentChange = Extract<PathChange, { kind: 'data' | 'metadata' }>
type DataChange = Extract<Change, { kind: 'data' }>
type ObjectChange = Extract<Change, { kind: 'object' }>

/** A path, and which object's it was when that is known. */
type NamedObject = Pick<ContentChange, 'path' | 'object'>

export interface ReplicatedChanges {
  /** could not be seen to now: a walk that is not allowed yet, or a file that is looked at too often */
  postponed: readonly Change[]
  /** the volume was walked for names */
  walked: boolean
}

/**
 * Sends what makes the replica equal in what the changes name, as far as they concern this volume; none may be a rescan. `moves` are known
 * to be on the replica where they were. What was sent is flushed to the stream.
 * @throws {AppError} LINK_LOST
 */
export async function replicateChanges(of: VolumeReplication, changes: readonly Change[], moves: readonly Move[], signal: AbortSignal): Promise<ReplicatedChanges> {
  const entries = new Map<string, EntryChange>()
  for (const change of changes) if (change.kind === 'entry') entries.set(keyOf(change.path), change)
  const content = changes.filter((change): change is ContentChange => change.kind === 'data' || change.kind === 'metadata')
  const overtaken = (change: ContentChange): boolean => of.coverage.covers(change.path)
  const postponed: Change[] = []

  await of.moving.begin(of.keepsDeleted ? await thoseThatCome(of, moves, [...entries.values()], signal) : moves, signal)
  await replaceEntries(of, [...entries.values()], signal)
  content.push(...await lookIntoMoved(of, entries, signal))
  const other = content.filter(change => !overtaken(change))
  const metadata = other.filter(change => change.kind === 'metadata')
  for (const change of await sendData(of, other.filter((change): change is DataChange => change.kind === 'data'), metadata, signal)) postponed.push(change)
  const objects = await sendByInode(of, changes.filter((change): change is ObjectChange => change.kind === 'object'), signal)
  postponed.push(...objects.postponed)
  const walked = await settleLinks(of, signal)
  // its name may be another object's by now: then nothing was sent of it, and its other names lead to what changed
  for (const { object } of content.filter(overtaken)) {
    if (object !== undefined && object.linkCount > 1 && !of.seen.has(object.inode)) lookForObject(of, object.inode)
  }
  await sendMetadata(of, metadata, signal)
  await sendMetadata(of, deepestFirst(of.touched).map(path => ({ path })), signal)
  await of.sender.flush(signal)
  return { postponed, walked: walked || objects.walked }
}

/** Of the moves those whose object has another name now: what nobody claims goes with the limbo, and where deleted things stay only a rename takes a name away. */
async function thoseThatCome(of: VolumeReplication, moves: readonly Move[], entries: readonly EntryChange[], signal: AbortSignal): Promise<Move[]> {
  if (moves.length === 0) return []
  const found = (await lookAtAll(of.tree, entries.map(({ path }) => path), signal)).map(unlessError)
  const inodes = new Set(found.map(entry => entry?.inode))
  return moves.filter(({ inode, from }) => inodes.has(inode) && !found.some((entry, at) => entry?.inode === inode && entries[at]?.path.equals(from) === true))
}

/** What has moved is not sent: what else changed of it is looked at under its new path. Answers the content that is to be looked at. */
async function lookIntoMoved(of: VolumeReplication, entries: ReadonlyMap<string, EntryChange>, signal: AbortSignal): Promise<ContentChange[]> {
  if (await of.moving.end(signal)) of.touched.add(keyOf(ROOT_PATH))
  const { placed } = of.moving
  const returned = placed.flatMap(({ from, path, isDirectory }) => isDirectory ? of.before.returnedBelow(from, path) : [])
  await replaceEntries(of, returned.filter(change => change.kind === 'entry').filter(({ path }) => !entries.has(keyOf(path))), signal)
  const content = returned.filter(change => change.kind !== 'entry')
  return [...content, ...placed.map(one => contentOf(of, one, entries))]
}

function contentOf(of: VolumeReplication, { from, path, inode, linkCount, isFile }: Placed, entries: ReadonlyMap<string, EntryChange>): ContentChange {
  const changed = entries.get(keyOf(path))?.data === true || of.wanted.has(inode) || of.before.contentComesBack(from)
  return { kind: isFile && changed ? 'data' : 'metadata', volume: of.volume, path, object: { inode, linkCount }, atMs: of.atMs }
}

/** Names above before those below: these may go with them. What does not lie below one another is seen to together. */
async function replaceEntries(of: VolumeReplication, changes: readonly EntryChange[], signal: AbortSignal): Promise<void> {
  const byDirectory = Map.groupBy(changes.map(({ path }) => path).filter(path => path.length > 0), directoryKey)
  let together: RelPath[] = []
  let keys = new Set<string>()
  const replace = async (): Promise<void> => {
    await replaceNames(of, together, signal)
    together = []
    keys = new Set()
  }
  for (const key of [...byDirectory.keys()].sort()) {
    const paths = byDirectory.get(key) ?? []
    const [first] = paths
    if (first !== undefined && isBelowOneOf(first, keys)) await replace()
    if (of.coverage.covers(key === '' ? ROOT_PATH : pathOfKey(key))) continue
    for (const path of paths) {
      together.push(path)
      keys.add(keyOf(path))
    }
    if (together.length >= REPLACED_AT_ONCE) await replace()
  }
  await replace()
}

function directoryKey(path: RelPath): string {
  return keyOf(parentOf(path))
}

/** Sends changed data; answers what must wait, and adds to `metadata` what turned out to have no data. */
async function sendData(of: VolumeReplication, changes: readonly DataChange[], metadata: NamedObject[], signal: AbortSignal): Promise<DataChange[]> {
  const entries = await lookAtAll(of.tree, changes.map(({ path }) => path), signal)
  const looked = changes.flatMap((change, i) => {
    const entry = readableAt(of, change.path, entries[i])
    return entry === UNREADABLE ? [] : [{ change, entry }]
  })
  const has = looked.some(({ entry }) => entry !== undefined && (entry.linkCount > 1 || entry.sizeBytes > SMALL_FILE_BYTES)) ? await replicaHas(of, signal) : allSame
  const small: RelPath[] = []
  const inPlace: InPlace[] = []
  const joined = rangesByInode(looked)
  // what is also looked for by its inode may have changed anywhere
  const rangesOf = ({ ranges }: DataChange, { inode, linkCount }: ListingEntry): readonly ChangedRange[] | undefined => of.wanted.has(inode) ? undefined : linkCount > 1 ? joined(inode) : ranges
  const postponed: DataChange[] = []
  for (const { change, entry } of looked) {
    const { path } = change
    of.looked.path(path)
    if (!isTheObject(of, change, entry)) continue
    if (entry.type !== 'file') {
      metadata.push(change)
      continue
    }
    const ranges = rangesOf(change, entry)
    if (entry.linkCount > 1) {
      of.links.note(entry.inode, path)
      // several names of it may be marked: one look at the object is enough, and settling looks at those with new names
      if (of.links.hasFresh(entry.inode) || of.seen.has(entry.inode)) continue
      if (isPutOff(has(path), true)) {
        of.again.push(change)
        continue
      }
      inPlace.push({ path, inode: entry.inode, ranges })
    } else if (entry.sizeBytes <= SMALL_FILE_BYTES) {
      small.push(path)
      touchParent(of, path)
    } else if (isPutOff(has(path), false)) {
      of.again.push(change)
      continue
    } else if (ranges !== undefined || of.pace.may(path)) {
      inPlace.push({ path, inode: entry.inode, ranges, unshare: has(path) === 'unknown' })
    } else {
      postponed.push(change)
      continue
    }
    of.seen.add(entry.inode)
  }
  for (const path of small) await of.sender.operation({ kind: 'unshare', path }, signal)
  // those of one directory together
  await sendPaths(of, [...Map.groupBy(small, directoryKey).values()].flat(), signal)
  // what is known to be little need not wait for its turn
  const known = inPlace.filter(({ ranges }) => ranges !== undefined)
  const updated = await updateFiles(of, known, signal)
  for (const [at, { inode }] of known.entries()) if (updated[at] !== true) lookForObject(of, inode)
  for (const one of inPlace) {
    if (one.ranges === undefined && !await of.pace.timed(one.path, async () => updateFile(of, one, signal))) lookForObject(of, one.inode)
  }
  return postponed
}

/** Ranges of an object that is changed under several names: those of all of them, or none where one may have changed anywhere. */
function rangesByInode(looked: readonly { change: DataChange, entry: ListingEntry | undefined }[]): (inode: bigint) => readonly ChangedRange[] | undefined {
  const joined = new Map<bigint, readonly ChangedRange[] | undefined>()
  for (const { change: { ranges, object }, entry } of looked) {
    if (entry === undefined || entry.linkCount < 2 || (object !== undefined && object.inode !== entry.inode)) continue
    const before = joined.get(entry.inode)
    if (!joined.has(entry.inode)) joined.set(entry.inode, ranges)
    else joined.set(entry.inode, before === undefined || ranges === undefined ? undefined : joinRanges(before, ranges))
  }
  return inode => joined.get(inode)
}

/** Objects that changed through a name that is gone: what was not seen by another name is looked for. */
async function sendByInode(of: VolumeReplication, changes: readonly ObjectChange[], signal: AbortSignal): Promise<ReplicatedChanges> {
  const open = changes.filter(({ inode }) => !of.seen.has(inode) && !of.links.hasFresh(inode))
  if (open.length === 0) return { postponed: [], walked: false }
  if (!of.mayWalk) return { postponed: open, walked: false }
  const names = await of.changes.namesOf(of.volume, open.map(({ inode }) => inode), { frozen: of.frozen }, signal)
  const has = await replicaHas(of, signal)
  const found: { path: RelPath, object: ObjectIdentity }[] = []
  for (const [inode, paths] of names) {
    const [first] = paths
    const path = paths.find(one => has(one) === 'same')
    if (path !== undefined) found.push({ path, object: { inode, linkCount: paths.length } })
    else if (first !== undefined) of.again.push({ kind: 'entry', volume: of.volume, path: first, atMs: of.atMs })
  }
  const postponed = await sendData(of, found.map(named => ({ kind: 'data', volume: of.volume, ...named, atMs: of.atMs })), found, signal)
  // with its new times it would look finished
  const late = new Set(postponed.map(({ path }) => path))
  await sendMetadata(of, found.filter(({ path }) => !late.has(path)), signal)
  return { postponed, walked: true }
}

/**
 * Whether the entry found is the object that changed. Another one's data or metadata must not be written into what the replica has under
 * the name: there it is the old object yet, perhaps with further names. The new one's entry is marked; the old one, if it had other names,
 * is looked for by itself.
 */
function isTheObject<Found extends { inode: bigint }>(of: VolumeReplication, { object }: NamedObject, entry: Found | undefined): entry is Found {
  if (entry !== undefined && (object === undefined || object.inode === entry.inode)) return true
  if (object !== undefined && object.linkCount > 1) lookForObject(of, object.inode)
  return false
}

/** What was found; what cannot be looked at is told, and is nothing to look for: another look would see no more. */
function readableAt<Found>(of: VolumeReplication, path: RelPath, found: Found | AppError | undefined): Found | typeof UNREADABLE | undefined {
  if (!isAppError(found)) return found
  of.findings.push(unreadable(path, found.message))
  return UNREADABLE
}

const UNREADABLE = 'unreadable'

function lookForObject(of: VolumeReplication, inode: bigint): void {
  of.again.push({ kind: 'object', volume: of.volume, inode, atMs: of.atMs })
}

async function sendMetadata(of: VolumeReplication, named: readonly NamedObject[], signal: AbortSignal): Promise<void> {
  let at = 0
  for await (const part of metadataInParts(of.tree, named.map(({ path }) => path), signal)) {
    const has = part.some(one => unlessError(one)?.isDirectory === false) ? await replicaHas(of, signal) : allSame
    for (const one of part) {
      const name = named[at++]
      if (name !== undefined) await sendMetadataOf(of, name, one, has, signal)
    }
  }
}

async function sendMetadataOf(of: VolumeReplication, named: NamedObject, found: SeenMetadata | AppError | undefined, has: (path: RelPath) => ReplicaHas, signal: AbortSignal): Promise<void> {
  const { path } = named
  of.looked.path(path)
  const seen = readableAt(of, path, found)
  if (seen === UNREADABLE || !isTheObject(of, named, seen)) return
  if (!seen.isDirectory) {
    const isLinked = seen.linkCount > 1
    // beside a mirror: with the new times one that goes on after an interruption would take it for equal, though its data may have changed just now
    if (of.besideMirror || isPutOff(has(path), isLinked)) {
      of.again.push({ kind: 'metadata', volume: of.volume, path, ...named.object === undefined ? {} : { object: named.object }, atMs: of.atMs })
      return
    }
    if (isLinked) of.links.note(seen.inode, path)
    else if (has(path) === 'unknown') await of.sender.operation({ kind: 'unshare', path }, signal)
    // else it may be another object's: told of by the mark of its entry, and perhaps refused by what the replica has here yet
    if (seen.batch === undefined && isLinked) lookForObject(of, seen.inode)
  }
  await of.sender.add(seen.batch, signal)
}

/** What is not put off has its name to itself on the replica (`unshare` sees to that), or is what the replica has. */
function isPutOff(has: ReplicaHas, isLinked: boolean): boolean {
  return has === 'other' || (has === 'unknown' && isLinked)
}

function allSame(): ReplicaHas {
  return 'same'
}

/** names that are replaced together, or those of one directory more */
const REPLACED_AT_ONCE = 1000

function deepestFirst(keys: ReadonlySet<string>): RelPath[] {
  const depth = (key: string): number => key === '' ? 0 : key.split('/').length
  return [...keys].sort((a, b) => depth(b) - depth(a)).map(key => key === '' ? ROOT_PATH : pathOfKey(key))
}
