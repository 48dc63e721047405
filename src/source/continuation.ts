/** Decides how a capture goes on with what an agent before it has kept. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Change } from '../capture/change-source.ts'
import type { DegradationKind } from '../domain/degradation.ts'
import { changeOfKept, type ClockReading, type KeptCapture } from './kept-capture.ts'

export interface Continuation {
  /** up to when all is durable, by the clock as it shows now */
  safeMs: number
  /** since when there may be changes that nobody saw */
  sinceMs: number
  missed: Change[]
}

/** Two readings of two clocks differ by so much without either being set. */
const SLACK_MS = 20

/**
 * @param wanted what is to be captured now
 * @param now the source as it is now
 * @returns undefined when the kept capture is of something else
 */
export function continuation(
  kept: KeptCapture, wanted: Pick<KeptCapture, 'jobId' | 'roots' | 'rules'>, now: { bootId: string, clock: ClockReading, identities: readonly string[] },
): Continuation | undefined {
  if (kept.jobId !== wanted.jobId || !isDeepStrictEqual(kept.roots, wanted.roots) || !isDeepStrictEqual(kept.rules, wanted.rules)) return undefined
  const sameBoot = kept.bootId === now.bootId
  const setBackMs = sameBoot ? setBack(kept.clock, now.clock) : 0
  const safeMs = kept.safeMs - setBackMs
  // under another boot what was not synced before the end may be gone, and only safeMs is from before a sync
  const sinceMs = (sameBoot ? kept.stopped?.atMs ?? kept.safeMs : kept.safeMs) - setBackMs
  // an agent that stopped with the source did not see what was stopped behind it
  const end: DegradationKind = !sameBoot ? 'source-rebooted' : kept.stopped === undefined ? 'agent-crashed' : 'agent-stopped'
  const why: DegradationKind[] = [end, ...setBackMs > 0 ? ['clock-set-back' as const] : []]
  const replaced = (at: number): boolean => kept.identities[at] !== now.identities[at]
  const missed = kept.roots.map(({ index: volume }, at): Change => replaced(at)
    ? { kind: 'rescan', volume, sinceMs: 0, atMs: sinceMs, why: [...why, 'volume-replaced'] }
    : { kind: 'rescan', volume, sinceMs, atMs: sinceMs, why })
  const intact = new Set(kept.roots.filter((_, at) => !replaced(at)).map(({ index }) => index))
  for (const change of kept.stopped?.changes ?? []) if (intact.has(change.volume)) missed.push(changeOfKept(change))
  return { safeMs: intact.size === kept.roots.length ? safeMs : 0, sinceMs, missed }
}

function setBack(before: ClockReading, after: ClockReading): number {
  const byMs = (before.wallMs - before.monotonicMs) - (after.wallMs - after.monotonicMs)
  return byMs > SLACK_MS ? Math.ceil(byMs) : 0
}
