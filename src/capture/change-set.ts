/**
 * Changes joined: at most one per path, the strongest kind wins (an entry looks at everything, data at metadata too), the oldest time
 * stays. Bounded in bytes: past the limit it forgets ranges first, then the changes of the volume that has most, and says "rescan" instead.
 */
import type { Degradation } from '../domain/degradation.ts'
import type { Change } from './change-source.ts'
import { RANGE_BYTES } from './changed-range.ts'
import { joinChanges, type PathChange } from './joined-change.ts'
import { inOrder } from './ordered-changes.ts'

/** a Map's slot, the record and its Buffer, beside the path's bytes (twice: as key and as path) */
const CHANGE_BYTES = 250
/** what a change takes with a path of usual length */
export const USUAL_CHANGE_BYTES = 350

interface VolumeChanges {
  byPath: Map<string, PathChange>
  byInode: Map<bigint, Extract<Change, { kind: 'object' }>>
  rescan: Extract<Change, { kind: 'rescan' }> | undefined
  bytes: number
}

export class ChangeSet {
  readonly #limitBytes: number
  readonly #volumes = new Map<number, VolumeChanges>()
  #bytes = 0
  /** what was taken and not handed out, what comes last first */
  #waiting: Change[] = []
  #waitingBytes = 0
  #wholeSinceMs: number | undefined

  /** @param limitBytes what all changes may take */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Joins a change. The path's buffer is kept. */
  add(change: Change): void {
    const of = this.#of(change.volume)
    switch (change.kind) {
      case 'rescan':
        of.rescan = of.rescan === undefined ? change : {
          ...change, sinceMs: Math.min(change.sinceMs, of.rescan.sinceMs), atMs: Math.min(change.atMs, of.rescan.atMs),
          why: [...new Set([...of.rescan.why, ...change.why])],
        }
        return
      case 'object': {
        const before = of.byInode.get(change.inode)
        of.byInode.set(change.inode, before === undefined ? change : { ...change, atMs: Math.min(change.atMs, before.atMs) })
        if (before === undefined) this.#grow(of, CHANGE_BYTES)
        break
      }
      case 'entry': case 'data': case 'metadata': {
        const key = change.path.toString('latin1')
        const before = of.byPath.get(key)
        if (before === undefined) {
          of.byPath.set(key, change)
          this.#grow(of, CHANGE_BYTES + 2 * key.length + rangeBytes(change))
          break
        }
        const { joined, forgotten } = joinChanges(before, change)
        of.byPath.set(key, joined)
        this.#grow(of, rangeBytes(joined) - rangeBytes(before))
        // the name may stand for another object than it did: one that would be forgotten, and has other names, is kept by itself
        if (forgotten !== undefined && forgotten.linkCount > 1) this.add({ kind: 'object', volume: change.volume, inode: forgotten.inode, atMs: forgotten.atMs })
      }
    }
    if (this.#bytes + this.#waitingBytes > this.#limitBytes) this.#degrade()
  }

  get count(): number {
    return [...this.#volumes.values()].reduce((sum, of) => sum + countOf(of), this.#waiting.length)
  }

  /** How many changes there are, and the time of the oldest. */
  pending(): { count: number, oldestAtMs: number | undefined } {
    const { count } = this
    let oldest = Infinity
    for (const { atMs } of this.#waiting) oldest = Math.min(oldest, atMs)
    for (const of of this.#volumes.values()) {
      oldest = Math.min(oldest, oldestOf(of), of.rescan?.atMs ?? Infinity)
    }
    return { count, oldestAtMs: count === 0 ? undefined : oldest }
  }

  /** What the changes take in memory, the rescans among them, for each of their reasons, and whether ranges were forgotten. */
  status(): { queueBytes: number, degraded: Degradation[] } {
    const rescans = [...this.#waiting, ...[...this.#volumes.values()].flatMap(({ rescan }) => rescan ?? [])]
    const degraded = rescans.flatMap(change => change.kind === 'rescan' ? degradationsOf(change) : [])
    if (this.#wholeSinceMs !== undefined) degraded.push({ kind: 'files-whole', sinceMs: Math.max(0, this.#wholeSinceMs) })
    return { queueBytes: this.#bytes + this.#waitingBytes, degraded }
  }

  /**
   * All changes; the set is empty then. Where there are more than `most` they come in parts, one at each call: a directory before what is in
   * it, rescans last.
   */
  take(most = Infinity): Change[] {
    if (this.#waiting.length === 0) this.#begin(most)
    const part = this.#waiting.splice(Math.max(0, this.#waiting.length - most)).reverse()
    this.#waitingBytes = this.#waiting.length === 0 ? 0 : Math.max(0, this.#waitingBytes - part.length * USUAL_CHANGE_BYTES)
    if (this.#waiting.length === 0) this.#wholeSinceMs = undefined
    return part
  }

  /** Whether the last `take` left parts. */
  hasMore(): boolean {
    return this.#waiting.length > 0
  }

  #begin(most: number): void {
    const all: Change[] = []
    for (const of of this.#volumes.values()) {
      if (of.rescan !== undefined) all.push(of.rescan)
      for (const change of of.byPath.values()) all.push(change)
      for (const change of of.byInode.values()) all.push(change)
    }
    this.#volumes.clear()
    this.#waitingBytes = this.#bytes
    this.#bytes = 0
    this.#waiting = all.length > most ? inOrder(all).reverse() : all.reverse()
  }

  #of(volume: number): VolumeChanges {
    let of = this.#volumes.get(volume)
    if (of === undefined) {
      of = { byPath: new Map(), byInode: new Map(), rescan: undefined, bytes: 0 }
      this.#volumes.set(volume, of)
    }
    return of
  }

  #grow(of: VolumeChanges, bytes: number): void {
    of.bytes += bytes
    this.#bytes += bytes
  }

  #degrade(): void {
    for (const of of this.#volumes.values()) this.#forgetRanges(of)
    if (this.#bytes + this.#waitingBytes <= this.#limitBytes) return
    const [most] = [...this.#volumes].sort(([, a], [, b]) => b.bytes - a.bytes)
    if (most === undefined) return
    const [volume, of] = most
    const since = oldestOf(of)
    this.#grow(of, -of.bytes)
    of.byPath = new Map()
    of.byInode = new Map()
    if (since < Infinity) this.add({ kind: 'rescan', volume, sinceMs: since, atMs: since, why: ['queue-full'] })
  }

  #forgetRanges(of: VolumeChanges): void {
    for (const [key, change] of of.byPath) {
      if (change.kind !== 'data' || rangeBytes(change) === 0) continue
      const { kind, volume, path, object, atMs } = change
      of.byPath.set(key, { kind, volume, path, ...object === undefined ? {} : { object }, atMs })
      this.#grow(of, -rangeBytes(change))
      this.#wholeSinceMs ??= change.atMs
    }
  }
}

/** What a rescan is to be shown as while it waits or is under way. Pure. */
export function degradationsOf({ volume, sinceMs, why }: Extract<Change, { kind: 'rescan' }>): Degradation[] {
  return why.map(kind => ({ kind, volume, sinceMs: Math.max(0, sinceMs) }))
}

function rangeBytes(change: Change): number {
  return change.kind === 'data' ? (change.ranges?.length ?? 0) * RANGE_BYTES : 0
}

function countOf({ byPath, byInode, rescan }: VolumeChanges): number {
  return byPath.size + byInode.size + (rescan === undefined ? 0 : 1)
}

function oldestOf(of: VolumeChanges): number {
  let oldest = Infinity
  for (const { atMs } of of.byPath.values()) oldest = Math.min(oldest, atMs)
  for (const { atMs } of of.byInode.values()) oldest = Math.min(oldest, atMs)
  return oldest
}
