/** What the replica has and the source has not, or not any more within the rules; and what is done about it. */
import { z } from 'zod'
import { MAX_PERIOD_MS } from './period.ts'
import { PATH_MAX_BYTES } from './rel-path.ts'

const count = z.number().int().nonnegative()

export const OrphanPolicy = z.strictObject({
  /** keep: only report them. move: set them aside in a folder on the receiver's machine. */
  orphans: z.enum(['keep', 'delete', 'move']),
  /**
   * Only what was modified longer ago than this goes. An age is that of the modification time; a directory goes when all that is in it
   * goes, and an empty one by its own age. The change time tells nothing: it is when the copy was written.
   */
  orphansOlderThanMs: count.max(MAX_PERIOD_MS).optional(),
  /** what lies on the replica outside the rules, sent by an earlier mirror with other rules, goes too: as orphans do, or is deleted */
  removeOutside: z.boolean().optional(),
})
export type OrphanPolicy = z.infer<typeof OrphanPolicy>

/**
 * kept: the policy, or its age, lets it stay. removed, moved: that was asked of the replica (of a preview: would be); where the replica
 * could not, a finding says so. outside: it is no orphan, but outside the rules, and stays.
 */
export const OrphanFate = z.enum(['kept', 'removed', 'moved', 'outside'])
export type OrphanFate = z.infer<typeof OrphanFate>

export const Orphan = z.object({
  /** index of the volume, on the wire */
  volume: count,
  /** for people: bytes that are no text as \xNN */
  path: z.string().max(4 * PATH_MAX_BYTES),
  /** the bytes of the path */
  pathBase64: z.string().max(Math.ceil(PATH_MAX_BYTES / 3) * 4),
  type: z.string().max(20),
  /** of a regular file, else 0 */
  sizeBytes: count,
  fate: OrphanFate,
})
export type Orphan = z.infer<typeof Orphan>

export const OrphanTotals = z.object({
  /** all orphans: removed, moved and kept */
  found: count, removed: count, moved: count, kept: count,
  /** of regular files among the orphans */
  bytes: count,
  /** outside the rules, and still there; bytes of regular files among it */
  outside: count, outsideBytes: count,
})
export type OrphanTotals = z.infer<typeof OrphanTotals>

export const NO_ORPHANS: OrphanTotals = { found: 0, removed: 0, moved: 0, kept: 0, bytes: 0, outside: 0, outsideBytes: 0 }

/** The totals with one more. */
export function countOrphan(totals: OrphanTotals, { fate, sizeBytes }: Pick<Orphan, 'fate' | 'sizeBytes'>): OrphanTotals {
  if (fate === 'outside') return { ...totals, outside: totals.outside + 1, outsideBytes: totals.outsideBytes + sizeBytes }
  return { ...totals, found: totals.found + 1, bytes: totals.bytes + sizeBytes, [fate]: totals[fate] + 1 }
}
