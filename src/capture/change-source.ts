/**
 * Knowing what changed on the source. Events only mark: an entry (directory, name) to look up again, an object to read again. Marks are
 * by identity (file handle), so a directory that was renamed meanwhile is still found. It never reads data and never decides what to send.
 */
import type { Degradation, DegradationKind } from '../domain/degradation.ts'
import type { RelPath } from '../domain/rel-path.ts'
import type { ChangedRange } from './changed-range.ts'

export type Change =
  /** the entry was made, removed, or now names another object; `data`: data of what it names may have changed, too */
  | { kind: 'entry', volume: number, path: RelPath, data?: true, atMs: number }
  /** data and perhaps metadata of the object at path changed: content only in these ranges, where they are known, and the size */
  | { kind: 'data', volume: number, path: RelPath, object?: ObjectIdentity, ranges?: readonly ChangedRange[], atMs: number }
  /** only metadata changed */
  | { kind: 'metadata', volume: number, path: RelPath, object?: ObjectIdentity, atMs: number }
  /** data or metadata of the object with this inode changed, and the name it was changed through is gone; others may be there */
  | { kind: 'object', volume: number, inode: bigint, atMs: number }
  /** events were lost: everything on the volume that changed since `sinceMs` must be looked at (by ctime), and whatever was removed found */
  | { kind: 'rescan', volume: number, sinceMs: number, atMs: number, why: readonly DegradationKind[] }

/** Which object it was that changed, and how many names it had when the change was taken. The name may be another's by the time of the look. */
export interface ObjectIdentity { inode: bigint, linkCount: number }

/** How the marks are kept, and what of the capture is less than it should be. A rescan that waits is among it, for each reason. */
export interface CaptureStatus { queueBytes: number, diskQueueBytes: number, degraded: readonly Degradation[] }

/**
 * An object that has left a name which it had at the take before the last one, where it can be told for sure. `from`: the path that this
 * name had then, which is where a replica that was equal then has the object. `early`: it, or a directory above it, left while what that
 * take gave was being looked at, so that looks by path may have met something else. Nothing is said of it when the marks of that take had
 * to do with it.
 */
export interface Move { volume: number, from: RelPath, inode: bigint, linkCount: number, isDirectory: boolean, early: boolean }

export interface ChangeSource extends AsyncDisposable {
  /** Names this run of the capture; another value after a restart means that changes in between were not seen. */
  readonly epoch: string
  /**
   * Whatever changes after the capture began has a ctime at or after this (nanoseconds since the epoch), stores through mmap included: the
   * dirty pages of before are written back when the capture begins.
   */
  readonly startedAtNs: bigint
  /** How many changes one `take` gives at most, about. */
  readonly partSize: number
  /**
   * Takes everything marked since the last call (joined, unordered, at most once per path and kind), with paths as they are now: a mark
   * whose directory is gone is dropped, because the removal is marked in the parent; an object that it was of and that lives on elsewhere is
   * kept. Empty when nothing happened. Where that is more than `partSize` it comes in parts, one at each call: a directory before what is in
   * it, rescans last. What is marked meanwhile comes behind the last part.
   */
  take(signal: AbortSignal): Promise<readonly Change[]>
  /** Whether the last `take` left parts of what it began to take. */
  hasMore(): boolean
  /**
   * The objects that the last `take` found to have left names; none where it gave a part. They are hints: a change that is not among them
   * says the same, only less.
   */
  moves(): readonly Move[]
  /** What was marked since the last `take`, which stays, and parts that it left; where that is too much, rescans instead. */
  peek(signal: AbortSignal): Promise<readonly Change[]>
  /** Tells that what the last `take` gave, with all its parts, was looked at: what moves from now on was seen where it was. */
  looksEnded(signal: AbortSignal): Promise<void>
  /** Puts changes back that could not be brought to safety (link lost). */
  putBack(changes: readonly Change[]): void
  /** Cheap; asked a few times a second. */
  status(): CaptureStatus
  /** How many marks wait, and since when the oldest one (epoch ms; undefined when none). */
  pending(): { count: number, oldestAtMs: number | undefined }
  /**
   * Writes back the volume's dirty pages, and answers a moment (nanoseconds): what changes after this call, through mmap too, has a ctime
   * at or after it. Not while the volume is frozen.
   */
  settle(volume: number, signal: AbortSignal): Promise<bigint>
  /**
   * Walks the volume for the objects whose ctime is at or after sinceNs, in pages. It finds what events do not tell (mmap, chattr, libaio),
   * never what was removed. `frozen`: no descriptor is closed before the next walk that is not, or the end of the capture.
   */
  changedSince(volume: number, sinceNs: bigint, options: { frozen: boolean }, signal: AbortSignal): AsyncIterable<readonly ChangedObject[]>
  /** Walks the volume for all names of these inodes; an inode without a name is missing in the answer. `frozen` as for changedSince. */
  namesOf(volume: number, inodes: readonly bigint[], options: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>>
}

export interface ChangedObject { path: RelPath, type: 'file' | 'directory' | 'other', inode: bigint, linkCount: number, ctimeNs: bigint }
