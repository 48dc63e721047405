/** Behind a cutover that was undone: the volumes become what they were before its boot fix-ups, so that replication goes on without a new mirror. */
import { isAppError } from '../errors/app-error.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import type { JobHandle, Seams } from './step.ts'

/** Nothing for a job whose cutover did not come so far. What cannot be taken back is put right by a mirror, and that is said. */
export async function restoreReplica(
  { volumes, replica, log }: Pick<Seams, 'volumes' | 'replica' | 'log'>, job: JobHandle, mounted: readonly MountedVolume[], signal: AbortSignal,
): Promise<void> {
  const { id: jobId, cutoverSteps, built, captureEpoch } = job.record
  if (cutoverSteps.length === 0) return
  if (captureEpoch === undefined) await replica.forgetFixUps({ jobId, volumes }) // a mirror comes in any case
  else if (cutoverSteps.includes('fixing-boot')) {
    const lost = await takeBack()
    if (lost !== undefined) {
      // durable before the record of the cutover goes
      await job.update({ captureEpoch: undefined })
      await job.note('mirror-required', `what the cutover changed on the replica could not be taken back (${lost}): what differs is mirrored`)
    } else if (cutoverSteps.includes('changing')) await job.note('fix-ups-undone', 'what the cutover changed on the replica was taken back; no new mirror is needed for it')
  }
  await job.update({ cutoverSteps: [] })

  async function takeBack(): Promise<string | undefined> {
    try {
      const { found, lost } = await replica.restore({ jobId, built: { disks: built?.disks ?? [] }, volumes, mounted }, signal)
      return lost ?? (cutoverSteps.includes('changing') && !found ? 'the record of it is gone' : undefined)
    } catch (error) {
      signal.throwIfAborted()
      if (!isAppError(error)) throw error
      log.warn({ err: error, jobId }, 'boot fix-ups of an undone cutover could not be taken back')
      await replica.forgetFixUps({ jobId, volumes })
      return error.message
    }
  }
}
