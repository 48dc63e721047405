/** Scripted twin of the capture: a test says what changed, and what a walk would find. */
import type { RelPath } from '../domain/rel-path.ts'
import { ChangeSet } from './change-set.ts'
import type { Change, ChangedObject, ChangeSource } from './change-source.ts'

export interface MemoryChangeSource extends ChangeSource {
  /** Marks a change. */
  mark(change: Change): void
}

export interface MemoryChangeOptions {
  epoch?: string
  /** Where a marked path is by now, undefined when its directory is gone; the same path when left out. */
  locate?: (volume: number, path: RelPath) => RelPath | undefined
  /** Everything that is on the volume; what a walk finds is taken from it. */
  objects?: (volume: number) => Iterable<ChangedObject>
  now?: () => number
}

/** A change source that knows what it is told. */
export function createMemoryChangeSource(options: MemoryChangeOptions = {}): MemoryChangeSource {
  const changes = new ChangeSet(Infinity)
  const locate = options.locate ?? ((_, path) => path)
  const objects = options.objects ?? (() => [])
  const nowNs = (): bigint => BigInt((options.now ?? Date.now)()) * 1_000_000n
  return {
    epoch: options.epoch ?? 'memory',
    startedAtNs: nowNs(),
    mark: change => { changes.add(change) },
    take: async signal => {
      signal.throwIfAborted()
      const located = new ChangeSet(Infinity)
      for (const change of changes.take()) {
        if (!('path' in change)) {
          located.add(change)
          continue
        }
        const path = locate(change.volume, change.path)
        if (path !== undefined) {
          located.add({ ...change, path })
          continue
        }
        // the directory is gone, but the object may have names elsewhere
        const object = change.kind === 'entry' ? undefined : change.object
        if (object !== undefined && object.linkCount > 1) located.add({ kind: 'object', volume: change.volume, inode: object.inode, atMs: change.atMs })
      }
      return located.take()
    },
    putBack: back => { for (const change of back) changes.add(change) },
    pending: () => changes.pending(),
    status: () => ({ ...changes.status(), diskQueueBytes: 0 }),
    settle: async (_, signal) => {
      signal.throwIfAborted()
      return nowNs()
    },
    changedSince: async function* (volume, sinceNs, _, signal) {
      signal.throwIfAborted()
      const found = [...objects(volume)].filter(object => object.ctimeNs >= sinceNs)
      if (found.length > 0) yield found
    },
    namesOf: async (volume, inodes, _, signal) => {
      signal.throwIfAborted()
      const names = new Map<bigint, RelPath[]>()
      for (const { inode, path } of objects(volume)) {
        if (inodes.includes(inode)) names.set(inode, [...names.get(inode) ?? [], path])
      }
      return names
    },
    [Symbol.asyncDispose]: async () => { changes.take() },
  }
}
