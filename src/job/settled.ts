/**
 * Up to when what lies on the replica is known to be what the source had. While a write is under way a file shows the time of the write before its data: read at
 * that moment it arrives with the new time and the old data, and only the capture knows that it is to be read again. When what a capture knew is gone (a stop, a
 * crash of the agent), a comparison by attributes must not believe what arrived since then. Git calls such entries of its index "racily clean".
 */
import type { Job } from '../domain/job.ts'

/** No write takes longer, nor do clocks and reports lag behind by more. */
const IN_FLIGHT_MS = 10_000

/** After a report of the replication under this capture. Pure. @param recoveryPointLatencyMs age of the oldest change that is not safe on the replica */
export function settledNow(captureEpoch: string, nowMs: number, recoveryPointLatencyMs: number): NonNullable<Job['settled']> {
  return { captureEpoch, beforeMs: Math.max(0, nowMs - recoveryPointLatencyMs - IN_FLIGHT_MS) }
}

/** For a mirror under this capture: what the replica's objects were written before, by the appliance's clock, to be believed; undefined when nothing was forgotten. Pure. */
export function settledBefore({ settled }: Pick<Job, 'settled'>, captureEpoch: string): number | undefined {
  return settled === undefined || settled.captureEpoch === captureEpoch ? undefined : settled.beforeMs
}
