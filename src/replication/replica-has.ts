/**
 * Whether the replica has, under a name, the object that the name leads to on the source. Names pass from one object to another between the
 * taking of the marks (or the walk) that named an object and the look at it; on the replica such a name is the first object yet, which may
 * have further names there. Nothing of another object may be written into that, or linked to it.
 */
import type { RelPath } from '../domain/rel-path.ts'
import { isBelowOneOf, keyOf } from './path-key.ts'
import type { VolumeReplication } from './volume-replication.ts'

/**
 * `same`: it has; `other`: it may not, and a mark that comes with the next taking says so; `unknown`: so many marks have come that they are
 * not told one by one.
 */
export type ReplicaHas = 'same' | 'other' | 'unknown'

/**
 * Tells it of names that were looked at before this call, and whose entries were seen to in this cycle: it is not the same where an entry was
 * marked since the changes were taken, or one above it.
 */
export async function replicaHas(of: VolumeReplication, signal: AbortSignal): Promise<(path: RelPath) => ReplicaHas> {
  const newer = await of.changes.peek(signal)
  if (newer.some(change => change.kind === 'rescan' && change.volume === of.volume)) return () => 'unknown'
  const moved = new Set<string>()
  for (const change of newer) if (change.kind === 'entry' && change.volume === of.volume) moved.add(keyOf(change.path))
  return path => (moved.has(keyOf(path)) || isBelowOneOf(path, moved) ? 'other' : 'same')
}
