/** Makes the names of each object with several links one object on the replica, at the end of a cycle. */
import { nameOf, parentOf, type RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import { sendWholeFile, updateFile } from './file-content.ts'
import { keyOf } from './path-key.ts'
import { SMALL_FILE_BYTES, sendNames } from './send-objects.ts'
import { forEachAtOnce, lookAt, touchParent, type VolumeReplication } from './volume-replication.ts'

interface Group { names: RelPath[], entry: ListingEntry | undefined }

/** The names that lead to the object right now. */
async function verified(of: VolumeReplication, inode: bigint, signal: AbortSignal): Promise<Group> {
  const looked = await forEachAtOnce(of.links.namesOf(inode), async path => ({ path, entry: await lookAt(of.tree, path, signal) }))
  const leading = looked.filter(({ entry }) => entry?.inode === inode && entry.type !== 'directory')
  return { names: leading.map(({ path }) => path), entry: leading.at(-1)?.entry }
}

/**
 * Settles all objects that wait. Where names are missing that the link count promises, a walk of the volume finds them, when one is
 * allowed now; else what is known is made right, and the object waits on. Answers whether a walk was made.
 */
export async function settleLinks(of: VolumeReplication, signal: AbortSignal): Promise<boolean> {
  const incomplete: bigint[] = []
  for (const inode of of.links.open()) {
    if (!of.mayWalk && !of.links.hasFresh(inode)) continue
    const group = await verified(of, inode, signal)
    const complete = group.names.length >= (group.entry?.linkCount ?? 0)
    if (complete || !of.mayWalk) await settle(of, inode, group, !complete, signal)
    else incomplete.push(inode)
  }
  if (incomplete.length === 0) return false
  for (const [inode, paths] of await of.changes.namesOf(of.volume, incomplete, signal)) {
    for (const path of paths) of.links.note(inode, path)
  }
  // names that are still missing are outside the volume, or hidden: the inside names are what counts
  for (const inode of incomplete) await settle(of, inode, await verified(of, inode, signal), false, signal)
  return true
}

async function settle(of: VolumeReplication, inode: bigint, { names, entry }: Group, later: boolean, signal: AbortSignal): Promise<void> {
  const trusted = of.links.isDistrusted(inode) ? undefined : names.find(path => !of.links.isFresh(inode, path))
  const first = trusted ?? names[0]
  if (first !== undefined && entry !== undefined) {
    if (trusted === undefined) await sendAnew(of, first, entry, signal)
    // its content may have changed through a name that was not one object with this one on the replica
    else if (entry.type === 'file') await updateFile(of, trusted, signal)
    for (const path of names) {
      if (keyOf(path) === keyOf(first)) continue
      await of.sender.operation({ kind: 'link', path, existing: first }, signal)
      touchParent(of, path)
    }
    // linking may have cost the object its metadata's last state: it is given again, once for all names
    await of.sender.add(await of.tree.readMetadata(first, signal), signal)
    of.seen.add(inode)
  }
  of.links.settled(inode, later)
}

async function sendAnew(of: VolumeReplication, path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
  touchParent(of, path)
  if (entry.type !== 'file') await of.sender.operation({ kind: 'remove', path }, signal)
  if (entry.type === 'file' && entry.sizeBytes > SMALL_FILE_BYTES) await sendWholeFile(of, path, signal)
  else await sendNames(of, parentOf(path), [nameOf(path)], signal)
}
