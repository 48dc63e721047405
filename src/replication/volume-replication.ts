/** What the parts of a replication cycle share about one volume, for as long as the cycle lasts. */
import type { Finding } from '../domain/finding.ts'
import { display, parentOf, type RelPath } from '../domain/rel-path.ts'
import type { Change, ChangeSource } from '../capture/change-source.ts'
import type { OrphanWalk } from '../tree/orphan-walk.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { isLack } from '../posix/posix.ts'
import type { SeenMetadata, SourceFile, SourceTree } from '../tree/source-tree.ts'
import type { ListingEntry, ListingPage } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { LinkGroups } from './link-groups.ts'
import type { Looked } from './looked.ts'
import type { Coverage, Moving } from './moving.ts'
import type { OperationSender } from './operation-sender.ts'
import { keyOf } from './path-key.ts'

export interface VolumeReplication {
  readonly volume: number
  readonly tree: SourceTree
  readonly changes: ChangeSource
  readonly stream: OperationStream
  readonly sender: OperationSender
  readonly links: LinkGroups
  /** what this cycle sends for paths, for the next one to know */
  readonly looked: Looked
  /** what the last one has looked at, and what comes back from it */
  readonly before: Looked
  readonly moving: Moving
  readonly coverage: Coverage
  /** has names of the replica go, but for what the rules leave alone */
  readonly removal: OrphanWalk
  /** directories in which names came or went on the replica: they get their metadata again at the end (keys) */
  readonly touched: Set<string>
  /** inodes that are looked for: they changed through a name that is gone */
  readonly wanted: ReadonlySet<bigint>
  /** of these, and of those with several names, whose content was sent in this cycle */
  readonly seen: Set<bigint>
  readonly findings: Finding[]
  /** names that cannot be looked at: what the replica has there stays, and nobody knows what that is */
  readonly unknown: RelPath[]
  /** what could not be done now and is to be looked at in the next cycle */
  readonly again: Change[]
  /** what is changed on the replica because of a change elsewhere: it is on the way with that, and comes again with it */
  readonly begun: Change[]
  /** when the oldest of the changes that are looked at was made */
  readonly atMs: number
  /** a walk of the whole volume for names is allowed now */
  readonly mayWalk: boolean
  /** the source is frozen: no descriptor may be closed */
  readonly frozen: boolean
  /** names that vanish stay on the replica; what was renamed has not vanished */
  readonly keepsDeleted: boolean
  readonly pace: ComparePace
  /** a mirror is under way: what has several names, and what must not look finished before it is, waits for its end */
  readonly besideMirror: boolean
}

/** Keeps big files that change all the time from taking all the time. */
export interface ComparePace {
  /** The file may be compared with the replica's now. */
  may(path: RelPath): boolean
  /** Runs the comparison and notes what it took. */
  timed(path: RelPath, compare: () => Promise<boolean>): Promise<boolean>
}

/** Marks the directory that holds `path` as touched. */
export function touchParent(of: VolumeReplication, path: RelPath): void {
  of.touched.add(keyOf(parentOf(path)))
}

/**
 * Whether path still names the object. What was read by path in between is the object's then; else another object's, which must not be
 * written over it: on the replica the object may have further names. (Should the name have come back meanwhile, its entry is marked.)
 */
export async function stillNames(of: VolumeReplication, path: RelPath, inode: bigint, signal: AbortSignal): Promise<boolean> {
  const [now] = await lookAtAll(of.tree, [path], signal)
  return unlessError(now)?.inode === inode
}

/** Names that are looked at with one call. */
const LOOKED_AT_ONCE = 1024

/** What is at each of the paths now; records lack flags and extended attributes. An error where it cannot be looked at. */
export async function lookAtAll(tree: SourceTree, paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | AppError | undefined)[]> {
  const found: (ListingEntry | AppError | undefined)[] = []
  for (let at = 0; at < paths.length; at += LOOKED_AT_ONCE) for (const entry of await tree.lookAll(paths.slice(at, at + LOOKED_AT_ONCE), signal)) found.push(entry)
  return found
}

/** What was found, for whom what cannot be looked at is as nothing. */
export function unlessError<Found>(found: Found | AppError | undefined): Found | undefined {
  return isAppError(found) ? undefined : found
}

/** Calls under way at once: as many as libuv's pool takes, and as many waiting. */
const AT_ONCE = 8

/** Runs `one` for each item, several at once; the answers are in the order of the items. */
export async function forEachAtOnce<Item, Answer>(items: readonly Item[], one: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let at = 0; at < items.length; at += AT_ONCE) answers.push(...await Promise.all(items.slice(at, at + AT_ONCE).map(one)))
  return answers
}

/** The metadata of all the paths; an error where it cannot be read. */
export async function metadataOfAll(tree: SourceTree, paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | AppError | undefined)[]> {
  const seen: (SeenMetadata | AppError | undefined)[] = []
  for await (const part of metadataInParts(tree, paths, signal)) seen.push(...part)
  return seen
}

/** names that one call is given */
const METADATA_AT_ONCE = 1024

/** The same in parts, in order, so that not all of it is held at once. */
export async function* metadataInParts(tree: SourceTree, paths: readonly RelPath[], signal: AbortSignal): AsyncGenerator<readonly (SeenMetadata | AppError | undefined)[], void, void> {
  for (let at = 0; at < paths.length;) {
    const part = await tree.readMetadataAll(paths.slice(at, at + METADATA_AT_ONCE), signal)
    if (part.length === 0) throw new AppError('INTERNAL', 'a source tree has read the metadata of none of the names that it was given')
    yield part
    at += part.length
  }
}

/** Whether the error tells of what was read; one for want of descriptors or memory must not pass for that. */
function isUnreadable(error: unknown): error is AppError {
  return isAppError(error, 'SOURCE_UNREADABLE') && !isLack(error)
}

/** The pages of a directory of the source as far as it can be listed; `broken` is told when that is not to its end. */
export async function* listUnlessBroken(tree: SourceTree, directory: RelPath, broken: (finding: Finding) => void, signal: AbortSignal): AsyncGenerator<ListingPage, void, void> {
  try {
    yield* tree.list(directory, signal)
  } catch (error) {
    if (!isUnreadable(error)) throw error
    broken(unreadable(directory, error.message))
  }
}

/** Opens a file; dispose to close (a frozen tree puts the closing off). Undefined for one that is gone, or cannot be opened, which is a finding. */
export async function openToRead(of: VolumeReplication, path: RelPath, signal: AbortSignal): Promise<SourceFile | undefined> {
  try {
    return await of.tree.openFile(path, signal)
  } catch (error) {
    if (isAppError(error, 'SOURCE_MISSING')) return undefined
    if (!isUnreadable(error)) throw error
    of.findings.push(unreadable(path, error.message))
    return undefined
  }
}

/** Runs what reads the source; undefined when that cannot be done, which is a finding about path. */
export async function orUnreadable<T>(of: Pick<VolumeReplication, 'findings'>, path: RelPath, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isUnreadable(error)) throw error
    of.findings.push(unreadable(path, error.message))
    return undefined
  }
}

/** The finding about a file, or a range of it, that could not be read. */
export function unreadable(path: RelPath, message: string): Finding {
  return {
    code: 'FILE_UNREADABLE', severity: 'error', subject: display(path), message,
    advice: 'Check the disk of the source; the rest of the file was copied.',
  }
}
