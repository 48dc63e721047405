/** Step of `stopped`: the source is let go and the replica's volumes are unmounted; then nothing more happens until a person acts. */
import type { JobHandle, Seams } from './step.ts'
import { withSource } from './with-source.ts'

/** Waits for the source when it is away: an agent must not capture for a job that is stopped. */
export async function stop(
  { sources, volumes, clock, log }: Pick<Seams, 'sources' | 'volumes' | 'clock' | 'log'>, job: JobHandle, signal: AbortSignal,
): Promise<void> {
  try {
    await volumes.release(job.record.id, [], signal, { check: false })
    await job.update({ captureEpoch: undefined, mirrorBootId: undefined, replication: undefined, health: 'warning', activity: 'stopped; a start mirrors what differs' })
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ err: error, jobId: job.record.id }, 'volumes of a stopped job could not be unmounted')
    await job.update({ captureEpoch: undefined, replication: undefined, health: 'warning', activity: 'stopped; the volumes could not be unmounted, see the log' })
  }
  const { activity } = job.record
  await withSource({ sources, clock }, job, activity, async source => { await source.release(signal) }, signal)
  await job.update({ health: 'warning' })
  await job.note('source-released', 'the source no longer captures changes')
}
