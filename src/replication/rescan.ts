/**
 * Finds again what events did not tell, as changes for the ordinary cycle: by walking for recent change times, and, when events were lost,
 * by comparing the names and attributes of the whole volume with the replica's, which finds what was removed.
 */
import type { Change, ChangedObject, ChangeSource } from '../capture/change-source.ts'
import { childPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import { listingEntries, type ListingEntry } from '../wire/listing-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'

/** Changes handed over at once. */
const CHUNK = 5000

/** Objects whose status changed at or after sinceNs, as changes of their data or metadata; an object with several names comes once. */
export async function* changesSince(changes: ChangeSource, volume: number, sinceNs: bigint, options: { frozen: boolean, atMs: number }, signal: AbortSignal): AsyncGenerator<readonly Change[], void, void> {
  for await (const page of changes.changedSince(volume, sinceNs, { frozen: options.frozen }, signal)) {
    yield page.map(object => changeOf(object, volume, options.atMs))
  }
}

function changeOf({ type, path, inode, linkCount }: ChangedObject, volume: number, atMs: number): Change {
  return { kind: type === 'file' ? 'data' : 'metadata', volume, path, object: { inode, linkCount }, atMs }
}

export interface Compared { volume: number, tree: SourceTree, stream: OperationStream, rules: VolumeRules, atMs: number }

/** One name on the replica, in little memory. */
interface ReplicaName { record: Buffer, linkCount: number }

/**
 * Walks the volume and the replica together. A name that only one of them has, or that stands for another type or for an object with
 * several names, is a changed entry; a record that differs is changed data or metadata. What was sent before must be applied.
 */
export async function* differences(of: Compared, signal: AbortSignal): AsyncGenerator<readonly Change[], void, void> {
  let found: Change[] = []
  const directories: RelPath[] = [ROOT_PATH]
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    const replica = await namesOnReplica(of, directory, signal)
    found.push({ kind: 'metadata', volume: of.volume, path: directory, atMs: of.atMs })
    for await (const page of of.tree.list(directory, signal)) {
      for (const entry of listingEntries(page)) {
        const path = childPath(directory, entry.name)
        // the mirror's finding
        if (path === undefined) continue
        const theirs = replica.get(entry.name.toString('latin1'))
        replica.delete(entry.name.toString('latin1'))
        const kind = difference(entry, theirs)
        if (kind === 'entry') found.push({ kind, volume: of.volume, path, atMs: of.atMs })
        else if (kind !== undefined) found.push({ kind, volume: of.volume, path, object: { inode: entry.inode, linkCount: entry.linkCount }, atMs: of.atMs })
        // a changed entry is sent with all that is below it
        if (entry.type === 'directory' && kind !== 'entry') directories.push(path)
      }
      if (found.length >= CHUNK) {
        yield found
        found = []
      }
    }
    for (const name of replica.keys()) {
      const path = childPath(directory, Buffer.from(name, 'latin1'))
      if (path !== undefined) found.push({ kind: 'entry', volume: of.volume, path, atMs: of.atMs })
    }
  }
  if (found.length > 0) yield found
}

function difference(ours: ListingEntry, theirs: ReplicaName | undefined): 'entry' | 'data' | 'metadata' | undefined {
  if (theirs === undefined || theirs.record[0] !== ours.record[0]) return 'entry'
  if (ours.type === 'directory') return undefined
  if (ours.linkCount > 1 || theirs.linkCount > 1) return 'entry'
  if (ours.record.equals(theirs.record)) return undefined
  return ours.type === 'file' ? 'data' : 'entry'
}

async function namesOnReplica(of: Compared, directory: RelPath, signal: AbortSignal): Promise<Map<string, ReplicaName>> {
  const names = new Map<string, ReplicaName>()
  const rules = of.rules.at(directory)
  for await (const { page } of of.stream.list(of.volume, [directory], signal)) {
    for (const entry of listingEntries(page)) {
      // a name of the source that meets it is a changed entry, which finds it in the way
      if (rules.guards && of.rules.leavesAlone(rules.place(entry.name, entry.type === 'directory'))) continue
      names.set(entry.name.toString('latin1'), { record: Buffer.from(entry.record), linkCount: entry.linkCount })
    }
  }
  return names
}
