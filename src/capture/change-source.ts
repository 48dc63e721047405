/**
 * Knowing what changed on the source. Events only mark: an entry (directory, name) to look up again, an object to read again. Marks are
 * by identity (file handle), so a directory that was renamed meanwhile is still found. It never reads data and never decides what to send.
 */
import type { RelPath } from '../domain/rel-path.ts'

export type Change =
  /** the entry was made, removed, or now names another object */
  | { kind: 'entry', volume: number, path: RelPath, atMs: number }
  /** data and perhaps metadata of the object at path changed */
  | { kind: 'data', volume: number, path: RelPath, atMs: number }
  /** only metadata changed */
  | { kind: 'metadata', volume: number, path: RelPath, atMs: number }
  /** events were lost: everything on the volume that changed since `sinceMs` must be looked at (by ctime), and whatever was removed found */
  | { kind: 'rescan', volume: number, sinceMs: number, atMs: number }

export interface ChangeSource extends AsyncDisposable {
  /** Names this run of the capture; another value after a restart means that changes in between were not seen. */
  readonly epoch: string
  /**
   * Takes everything marked since the last call (joined, unordered, at most once per path and kind), with paths as they are now: a mark
   * whose directory is gone is dropped, because the removal is marked in the parent. Empty when nothing happened.
   */
  take(signal: AbortSignal): Promise<readonly Change[]>
  /** Puts changes back that could not be brought to safety (link lost). */
  putBack(changes: readonly Change[]): void
  /** How many marks wait, and since when the oldest one (epoch ms; undefined when none). */
  pending(): { count: number, oldestAtMs: number | undefined }
}
