/** Makes the names of each object with several links one object on the replica, at the end of a cycle. */
import type { Change } from '../capture/change-source.ts'
import type { RelPath } from '../domain/rel-path.ts'
import type { ListingEntry } from '../wire/listing-codec.ts'
import { sendWholeFile, updateFile } from './file-content.ts'
import { keyOf } from './path-key.ts'
import { replicaHas, type ReplicaHas } from './replica-has.ts'
import { SMALL_FILE_BYTES, sendPaths } from './send-objects.ts'
import { lookAtAll, orUnreadable, stillNames, touchParent, unlessError, type VolumeReplication } from './volume-replication.ts'

interface Group { names: RelPath[], entry: ListingEntry | undefined }

/** The names that lead to the object right now. */
async function verified(of: VolumeReplication, inode: bigint, signal: AbortSignal): Promise<Group> {
  const names = of.links.namesOf(inode)
  const looked = await lookAtAll(of.tree, names, signal)
  const leading = names.map((path, i) => ({ path, entry: unlessError(looked[i]) })).filter(({ entry }) => entry?.inode === inode && entry.type !== 'directory')
  return { names: leading.map(({ path }) => path), entry: leading.at(-1)?.entry }
}

/**
 * Settles all objects that wait. Where names are missing that the link count promises, a walk of the volume finds them, when one is
 * allowed now; else what is known is made right, and the object waits on. Answers whether a walk was made.
 */
export async function settleLinks(of: VolumeReplication, signal: AbortSignal): Promise<boolean> {
  const incomplete: bigint[] = []
  const groups = new Map<bigint, Group & { later: boolean }>()
  for (const inode of of.links.open()) {
    if (!of.mayWalk && !of.links.hasFresh(inode)) continue
    const group = await verified(of, inode, signal)
    const complete = group.names.length >= (group.entry?.linkCount ?? 0)
    if (complete || !of.mayWalk) groups.set(inode, { ...group, later: !complete })
    else incomplete.push(inode)
  }
  if (incomplete.length > 0) await findNames(of, incomplete, groups, signal)
  if (groups.size === 0) return false
  const has = await replicaHas(of, signal)
  for (const [inode, group] of groups) await settle(of, inode, group, has, signal)
  return incomplete.length > 0
}

/** Finds all names of these objects by a walk. */
async function findNames(of: VolumeReplication, incomplete: readonly bigint[], groups: Map<bigint, Group & { later: boolean }>, signal: AbortSignal): Promise<void> {
  for (const [inode, paths] of await of.changes.namesOf(of.volume, incomplete, { frozen: of.frozen }, signal)) {
    for (const path of paths) of.links.note(inode, path)
  }
  // names that are still missing are outside the volume, or hidden: the inside names are what counts
  for (const inode of incomplete) groups.set(inode, { ...await verified(of, inode, signal), later: false })
}

async function settle(of: VolumeReplication, inode: bigint, { names, entry, later }: Group & { later: boolean }, has: (path: RelPath) => ReplicaHas, signal: AbortSignal): Promise<void> {
  const trusted = of.links.isDistrusted(inode) ? undefined : names.find(path => !of.links.isFresh(inode, path) && has(path) === 'same')
  const first = trusted ?? names[0]
  if (first === undefined || entry === undefined) {
    of.links.settled(inode, later)
    return
  }
  const entries = names.map((path): Change => ({ kind: 'entry', volume: of.volume, path, atMs: of.atMs }))
  of.links.settling(inode)
  // nothing else brings them again should this be broken off, or be lost on the way: names that waited for a walk are in no change that was taken
  of.begun.push(...entries.filter((_, at) => names[at] !== trusted))
  if (trusted !== undefined) of.begun.push({ kind: entry.type === 'file' ? 'data' : 'metadata', volume: of.volume, path: trusted, object: { inode, linkCount: entry.linkCount }, atMs: of.atMs })
  const done = trusted === undefined ? await sendAnew(of, first, inode, entry, signal) : await renew(of, trusted, inode, entry, signal)
  if (done === 'other') {
    of.again.push(...entries)
    return
  }
  of.looked.path(first)
  // of what cannot be read the replica may have nothing to link to
  for (const path of done === 'unreadable' ? [] : names) {
    if (keyOf(path) === keyOf(first)) continue
    of.looked.whole(path)
    await of.sender.operation({ kind: 'link', path, existing: first }, signal)
    touchParent(of, path)
  }
  of.links.settled(inode, later)
  of.seen.add(inode)
}

/** `other`: the name is another object's now, or nobody's; `unreadable`: the replica has nothing of it, which is a finding. */
type Settled = 'done' | 'other' | 'unreadable'

/** Makes the object that the replica has equal: it may have changed through a name that was not one object with this one there. */
async function renew(of: VolumeReplication, path: RelPath, inode: bigint, entry: ListingEntry, signal: AbortSignal): Promise<Settled> {
  if (entry.type === 'file') return await updateFile(of, { path, inode, ranges: undefined }, signal) ? 'done' : 'other'
  const metadata = await orUnreadable(of, path, async () => of.tree.readMetadata(path, signal))
  if (!await stillNames(of, path, inode, signal)) return 'other'
  await of.sender.add(metadata, signal)
  return 'done'
}

/** Sends the object whole under this name. */
async function sendAnew(of: VolumeReplication, path: RelPath, inode: bigint, entry: ListingEntry, signal: AbortSignal): Promise<Settled> {
  touchParent(of, path)
  of.looked.whole(path)
  of.looked.anew(inode)
  await of.sender.operation({ kind: 'remove', path }, signal)
  const isLarge = entry.type === 'file' && entry.sizeBytes > SMALL_FILE_BYTES
  const sent = isLarge ? await sendWholeFile(of, path, signal) : await sendPaths(of, [path], signal)
  if (!await stillNames(of, path, inode, signal)) return 'other'
  return sent ? 'done' : 'unreadable'
}
