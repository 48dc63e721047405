/** Two changes of one name as one. Pure. */
import type { Change, ObjectIdentity } from './change-source.ts'
import { joinRanges, type ChangedRange } from './changed-range.ts'

export type PathChange = Extract<Change, { path: unknown }>
/** with the time of its change */
export type Forgotten = ObjectIdentity & { atMs: number }

const STRENGTH = { metadata: 1, data: 2, entry: 3 } as const

/**
 * The strongest kind wins (an entry looks at everything, data at metadata too), the oldest time stays. `forgotten`: the object of which the
 * name was before, or is not any more, and which the joined change does not tell of.
 */
export function joinChanges(before: PathChange, after: PathChange): { joined: PathChange, forgotten: Forgotten | undefined } {
  const [stronger, weaker] = STRENGTH[before.kind] > STRENGTH[after.kind] ? [before, after] : [after, before]
  const atMs = Math.min(before.atMs, after.atMs)
  const [stays, lost] = [objectOf(stronger), objectOf(weaker)]
  const forgotten = lost === undefined || lost.inode === stays?.inode ? undefined : { ...lost, atMs: weaker.atMs }
  if (stronger.kind === 'entry') return { joined: { ...stronger, ...(mayHaveData(before) || mayHaveData(after) ? { data: true } : {}), atMs }, forgotten }
  if (stronger.kind !== 'data') return { joined: { ...stronger, atMs }, forgotten }
  const { kind, volume, path, object } = stronger
  const ranges = rangesOf(stronger, weaker)
  return { joined: { kind, volume, path, ...(object === undefined ? {} : { object }), ...(ranges === undefined ? {} : { ranges }), atMs }, forgotten }
}

/** Metadata changes nothing about the ranges; of another object's change, or of one that may be anywhere, nothing is known. */
function rangesOf(data: PathChange & { kind: 'data' }, other: PathChange): readonly ChangedRange[] | undefined {
  if (other.kind === 'metadata') return data.ranges
  if (other.kind !== 'data' || data.ranges === undefined || other.ranges === undefined) return undefined
  if (data.object === undefined || data.object.inode !== other.object?.inode) return undefined
  return joinRanges(data.ranges, other.ranges)
}

function objectOf(change: PathChange): ObjectIdentity | undefined {
  return change.kind === 'entry' ? undefined : change.object
}

function mayHaveData(change: PathChange): boolean {
  return change.kind === 'data' || (change.kind === 'entry' && change.data === true)
}
