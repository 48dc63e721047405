/** The end of a churn test: the source is frozen and drained under further random changes, and then its replica must be equal. */
import type { Test } from 'tap'
import { freeze } from '../../../src/replication/freezer.ts'
import type { Drained, Replicator } from '../../../src/replication/replicator.ts'
import { differences } from '../../oracle.ts'
import { churn } from './churn.ts'

const HOLD_MS = 30_000

export async function drainedFrozen(t: Test, replicator: Replicator, { source, replica, seed, seen = false }: { source: string, replica: string, seed: number, seen?: boolean }, signal: AbortSignal): Promise<Drained> {
  await using writer = churn(source, seed, 100_000, 1000, { seen })
  writer.done.catch(() => undefined)
  const drained = await replicator.drain({ freeze: async s => freeze([source], { holdMs: HOLD_MS }, s) }, signal)
  try {
    t.ok(await drained.frozen?.hold(), 'it is still frozen')
    t.same(await differences(source, replica), [])
    t.ok(await drained.frozen?.hold(), 'and was all the time')
  } finally {
    await drained.frozen?.thaw()
  }
  return drained
}
