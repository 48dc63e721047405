/**
 * Finds again what events did not tell, as changes for the ordinary cycle: by walking for recent change times, and, when events were lost,
 * by comparing the names and attributes of the whole volume with the replica's, which finds what was removed.
 */
import type { Change, ChangedObject, ChangeSource } from '../capture/change-source.ts'
import type { Finding } from '../domain/finding.ts'
import { childPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import { asListingPage, listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { LinkedNames } from './linked-names.ts'
import { listUnlessBroken } from './volume-replication.ts'

/** of an entry that the source could not look at */
const UNKNOWN_INODE = 0n
/** Entries looked at, and changes found, that are handed over at once: a chunk is looked at between two cycles. */
const CHUNK = 2000
const MAX_FOUND = 500

/** Objects whose status changed at or after sinceNs, as changes of their data or metadata; an object with several names comes once. */
export async function* changesSince(changes: ChangeSource, volume: number, sinceNs: bigint, options: { frozen: boolean, atMs: number }, signal: AbortSignal): AsyncGenerator<readonly Change[], void, void> {
  for await (const page of changes.changedSince(volume, sinceNs, { frozen: options.frozen }, signal)) {
    yield page.map(object => changeOf(object, volume, options.atMs))
  }
}

function changeOf({ type, path, inode, linkCount }: ChangedObject, volume: number, atMs: number): Change {
  return { kind: type === 'file' ? 'data' : 'metadata', volume, path, object: { inode, linkCount }, atMs }
}

export interface Compared {
  volume: number
  tree: SourceTree
  stream: OperationStream
  rules: VolumeRules
  atMs: number
  /** what changed before is known to be on the replica (ns) */
  sinceNs: bigint
  found: (findings: readonly Finding[]) => void
}

/**
 * Whether a directory may be another one than the replica has under the name: moving or exchanging a directory touches its change time and
 * not its modification time, which follows its names. Then what is below may have equal attributes and old change times by chance (many
 * files made in one tick of the clock), so that its data is compared. Not seen: a directory of which names changed, too, behind the move; and
 * an exchange within one directory of XFS, which touches neither of the two.
 */
function mayHaveMoved(entry: ListingEntry, sinceNs: bigint): boolean {
  return entry.ctimeNs >= sinceNs && entry.ctimeNs !== entry.mtimeNs
}

/**
 * Walks the volume and the replica together. A name that only one of them has, that stands for another type, or that shares its object with
 * other names than on the source is a changed entry; a record that differs is changed data or metadata. What is equal gives nothing. A
 * chunk may be empty: something was looked at. Of a directory that cannot be listed to its end the replica keeps what it has: nobody knows
 * what of it was removed.
 */
export async function* differences(of: Compared, signal: AbortSignal): AsyncGenerator<readonly Change[], void, void> {
  const { volume, atMs } = of
  const linked = new LinkedNames()
  let found: Change[] = [{ kind: 'metadata', volume, path: ROOT_PATH, atMs }]
  let looked = 0
  const directories: { directory: RelPath, moved: boolean }[] = [{ directory: ROOT_PATH, moved: false }]
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    const { directory, moved } = next
    const replica = await namesOnReplica(of, directory, signal)
    const broken = (finding: Finding): void => {
      of.found([finding])
      replica.clear()
    }
    for await (const page of listUnlessBroken(of.tree, directory, broken, signal)) {
      for (const entry of listingEntries(page)) {
        const path = childPath(directory, entry.name)
        // the mirror's finding
        if (path === undefined) continue
        looked++
        if (entry.inode === UNKNOWN_INODE) {
          // looking at its name tells why, or what it is by then
          replica.delete(entry.name.toString('latin1'))
          found.push({ kind: 'entry', volume, path, atMs })
          continue
        }
        const theirs = replica.get(entry.name.toString('latin1'))
        replica.delete(entry.name.toString('latin1'))
        const kind = difference(path, entry, theirs, linked, moved)
        if (kind === 'entry' && theirs !== undefined) linked.orphan(theirs)
        if (kind === 'entry') found.push({ kind, volume, path, atMs })
        else if (kind !== undefined) found.push({ kind, volume, path, object: { inode: entry.inode, linkCount: entry.linkCount }, atMs })
        // a changed entry is sent with all that is below it
        if (entry.type === 'directory' && kind !== 'entry') directories.push({ directory: path, moved: moved || mayHaveMoved(entry, of.sinceNs) })
      }
      if (looked >= CHUNK || found.length >= MAX_FOUND) {
        yield found
        found = []
        looked = 0
      }
    }
    for (const [name, theirs] of replica) {
      linked.orphan(theirs)
      const path = childPath(directory, Buffer.from(name, 'latin1'))
      if (path !== undefined) found.push({ kind: 'entry', volume, path, atMs })
    }
  }
  const { entries, objects } = linked.finish()
  for (const path of entries) found.push({ kind: 'entry', volume, path, atMs })
  for (const { path, isFile, ...object } of objects) found.push({ kind: isFile ? 'data' : 'metadata', volume, path, object, atMs })
  for (let at = 0; at < found.length; at += MAX_FOUND) yield found.slice(at, at + MAX_FOUND)
}

function difference(path: RelPath, ours: ListingEntry, theirs: ListingEntry | undefined, linked: LinkedNames, moved: boolean): 'entry' | 'data' | 'metadata' | undefined {
  if (theirs === undefined || theirs.type !== ours.type) return 'entry'
  if (ours.type === 'directory') return ours.sameRecord(theirs) ? undefined : 'metadata'
  if (ours.linkCount > 1) return linked.pair(path, ours, theirs, moved) ? undefined : 'entry'
  if (theirs.linkCount > 1) return 'entry'
  if (ours.sameRecord(theirs) && !(moved && ours.type === 'file' && ours.sizeBytes > 0)) return undefined
  return ours.type === 'file' ? 'data' : 'entry'
}

async function namesOnReplica(of: Compared, directory: RelPath, signal: AbortSignal): Promise<Map<string, ListingEntry>> {
  const names = new Map<string, ListingEntry>()
  const rules = of.rules.at(directory)
  await of.stream.whenApplied(of.stream.sent, signal)
  for await (const { page } of of.stream.list(of.volume, [directory], signal)) {
    for (const entry of listingEntries(asListingPage(Buffer.from(page)))) {
      // a name of the source that meets it is a changed entry, which finds it in the way
      if (rules.guards && of.rules.leavesAlone(rules.place(entry.name, entry.type === 'directory'))) continue
      names.set(entry.name.toString('latin1'), entry)
    }
  }
  return names
}
