/**
 * Changes joined: at most one per path, the strongest kind wins (an entry looks at everything, data at metadata too), the oldest time
 * stays. Bounded in bytes: past the limit it forgets a volume's changes and says "rescan" instead.
 */
import type { Degradation } from '../domain/degradation.ts'
import type { Change } from './change-source.ts'
import { RANGE_BYTES } from './changed-range.ts'
import { joinChanges } from './joined-change.ts'

/** a Map's slot, the record and its Buffer, beside the path's bytes (twice: as key and as path) */
const CHANGE_BYTES = 250

interface VolumeChanges {
  byPath: Map<string, Extract<Change, { path: unknown }>>
  byInode: Map<bigint, Extract<Change, { kind: 'object' }>>
  rescan: Extract<Change, { kind: 'rescan' }> | undefined
  bytes: number
}

export class ChangeSet {
  readonly #limitBytes: number
  readonly #volumes = new Map<number, VolumeChanges>()

  /** @param limitBytes what one volume's changes may take */
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
        if (before === undefined) of.bytes += CHANGE_BYTES
        break
      }
      case 'entry': case 'data': case 'metadata': {
        const key = change.path.toString('latin1')
        const before = of.byPath.get(key)
        if (before === undefined) {
          of.byPath.set(key, change)
          of.bytes += CHANGE_BYTES + 2 * key.length + rangeBytes(change)
          break
        }
        const { joined, forgotten } = joinChanges(before, change)
        of.byPath.set(key, joined)
        of.bytes += rangeBytes(joined) - rangeBytes(before)
        // the name may stand for another object than it did: one that would be forgotten, and has other names, is kept by itself
        if (forgotten !== undefined && forgotten.linkCount > 1) this.add({ kind: 'object', volume: change.volume, inode: forgotten.inode, atMs: forgotten.atMs })
      }
    }
    if (of.bytes > this.#limitBytes) this.#degrade(change.volume, of)
  }

  /** How many changes there are, and the time of the oldest. */
  pending(): { count: number, oldestAtMs: number | undefined } {
    let count = 0
    let oldest = Infinity
    for (const of of this.#volumes.values()) {
      count += of.byPath.size + of.byInode.size + (of.rescan === undefined ? 0 : 1)
      oldest = Math.min(oldest, oldestOf(of), of.rescan?.atMs ?? Infinity)
    }
    return { count, oldestAtMs: count === 0 ? undefined : oldest }
  }

  /** What the changes take in memory, and the rescans among them, for each of their reasons. */
  status(): { queueBytes: number, degraded: Degradation[] } {
    const all = [...this.#volumes.values()]
    return { queueBytes: all.reduce((sum, { bytes }) => sum + bytes, 0), degraded: all.flatMap(({ rescan }) => rescan === undefined ? [] : degradationsOf(rescan)) }
  }

  /** All changes; the set is empty then. */
  take(): Change[] {
    const all: Change[] = []
    for (const of of this.#volumes.values()) {
      if (of.rescan !== undefined) all.push(of.rescan)
      for (const change of of.byPath.values()) all.push(change)
      for (const change of of.byInode.values()) all.push(change)
    }
    this.#volumes.clear()
    return all
  }

  #of(volume: number): VolumeChanges {
    let of = this.#volumes.get(volume)
    if (of === undefined) {
      of = { byPath: new Map(), byInode: new Map(), rescan: undefined, bytes: 0 }
      this.#volumes.set(volume, of)
    }
    return of
  }

  #degrade(volume: number, of: VolumeChanges): void {
    const since = oldestOf(of)
    of.byPath = new Map()
    of.byInode = new Map()
    of.bytes = 0
    this.add({ kind: 'rescan', volume, sinceMs: since, atMs: since, why: ['queue-full'] })
  }
}

/** What a rescan is to be shown as while it waits or is under way. Pure. */
export function degradationsOf({ volume, sinceMs, why }: Extract<Change, { kind: 'rescan' }>): Degradation[] {
  return why.map(kind => ({ kind, volume, sinceMs: Math.max(0, sinceMs) }))
}

function rangeBytes(change: Change): number {
  return change.kind === 'data' ? (change.ranges?.length ?? 0) * RANGE_BYTES : 0
}

function oldestOf(of: VolumeChanges): number {
  let oldest = Infinity
  for (const { atMs } of of.byPath.values()) oldest = Math.min(oldest, atMs)
  for (const { atMs } of of.byInode.values()) oldest = Math.min(oldest, atMs)
  return oldest
}
