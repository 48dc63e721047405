/** When which state of a job, and the downtime, began and ended. */
import type { PhaseTime } from '../domain/job.ts'

/** The oldest fall out: a job that is protected for months over a bad line goes through many. */
const MAX_PHASES = 200

/** @returns the phases with `phase` begun, unless it is open already */
export function openPhase(phases: readonly PhaseTime[], phase: string, nowUtc: string): PhaseTime[] {
  if (phases.some(entry => entry.phase === phase && entry.endedAtUtc === undefined)) return [...phases]
  return [...phases, { phase, startedAtUtc: nowUtc }].slice(-MAX_PHASES)
}

/** @returns the phases with every open `phase` ended */
export function closePhase(phases: readonly PhaseTime[], phase: string, nowUtc: string): PhaseTime[] {
  return phases.map(entry => (entry.phase === phase && entry.endedAtUtc === undefined ? { ...entry, endedAtUtc: nowUtc } : entry))
}

/** When the last `phase` began, in milliseconds since the epoch. */
export function phaseStartMs(phases: readonly PhaseTime[], phase: string): number | undefined {
  const last = phases.findLast(entry => entry.phase === phase)
  return last === undefined ? undefined : Date.parse(last.startedAtUtc)
}
