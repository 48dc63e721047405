/** A capture that goes on with an earlier one: under its epoch, because what was missed in between is among its changes. */
import type { Change, ChangeSource } from './change-source.ts'

export interface Continued {
  epoch: string
  /** what changed before was looked at by the earlier capture (ns) */
  startedAtNs: bigint
  /** what the earlier one left, and the rescans that find what was missed */
  missed: readonly Change[]
  /** how often it was written down */
  kept: number
}

/** Disposing disposes of the source. */
export function continuedChanges(changes: ChangeSource, { epoch, startedAtNs, missed }: Omit<Continued, 'kept'>): ChangeSource {
  changes.putBack(missed)
  return {
    epoch, startedAtNs, partSize: changes.partSize,
    take: async signal => await changes.take(signal),
    hasMore: () => changes.hasMore(),
    moves: () => changes.moves(),
    peek: async signal => await changes.peek(signal),
    looksEnded: async signal => { await changes.looksEnded(signal) },
    putBack: back => { changes.putBack(back) },
    pending: () => changes.pending(),
    status: () => changes.status(),
    settle: async (volume, signal) => await changes.settle(volume, signal),
    changedSince: (volume, sinceNs, options, signal) => changes.changedSince(volume, sinceNs, options, signal),
    namesOf: async (volume, inodes, options, signal) => await changes.namesOf(volume, inodes, options, signal),
    [Symbol.asyncDispose]: async () => { await changes[Symbol.asyncDispose]() },
  }
}
