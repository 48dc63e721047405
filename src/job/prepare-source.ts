/** A job's source is ready to be mirrored, replicated or drained. */
import type { SourceServer } from '../source/source-server.ts'
import { planned, volumeRoots } from './open-replica.ts'
import type { JobHandle } from './step.ts'
import { thawOn } from './thaw-source.ts'

/**
 * Opens the job's volumes and starts the capture, or goes on with it. The source is told how far it had come, so that it notices when it was
 * set back to an earlier state. Where a cutover was undone while it was away it is thawed first, and need not wait until it does so by itself.
 * @throws {AppError} as SourceServer.prepare
 */
export async function prepareSource(job: JobHandle, source: SourceServer, signal: AbortSignal): Promise<{ captureEpoch: string }> {
  if (job.record.thawOwed === true) {
    await thawOn(job, source, signal)
    await job.update({ thawOwed: undefined })
  }
  const { id, captureEpoch, replication, options } = job.record
  const position = replication?.position
  const reached = captureEpoch === undefined || position === undefined ? undefined : { captureEpoch, position }
  return await source.prepare(id, volumeRoots(planned(job).plan), options.rules, signal, { reached })
}
