/** Step of `protecting`: every change of the source goes to the replica, until a cutover, a stop, or the need for a new mirror. */
import { isAppError } from '../errors/app-error.ts'
import { CollectedFindings } from './collect-findings.ts'
import type { JobEvent } from './job-state.ts'
import { OpenTargets, remountReplica } from './open-replica.ts'
import { prepareSource } from './prepare-source.ts'
import { withRehearsals } from './rehearse.ts'
import type { JobHandle, Seams } from './step.ts'
import { settledNow } from './settled.ts'
import { makeTest, withTest } from './test-cutover.ts'
import { PROTECTING, ToldDegradations } from './told-degradations.ts'
import { transmitting } from './transmitting.ts'
import { noteInterruptedTasks, withUserTasks } from './user-tasks.ts'
import { withSource } from './with-source.ts'

type ProtectSeams = Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'openTarget' | 'replica' | 'passphrases' | 'clock' | 'bootId' | 'scripts' | 'log' | 'times' | 'store'>

/** Replicates; a test cutover interrupts it while it is made, or its stand-ins are thrown away, and is followed beside it meanwhile. */
export async function protect(seams: ProtectSeams, job: JobHandle, signal: AbortSignal): Promise<JobEvent | undefined> {
  for (;;) {
    const before = job.record.captureEpoch
    await makeTest(seams, job, signal)
    if (before !== undefined && job.record.captureEpoch === undefined) return 'mirror-required'
    const ended = await withTest(seams, job, async inner => ({ event: await replicate(seams, job, inner) }), signal)
    if (ended !== undefined) return ended.event
  }
}

/** After a lost link replication goes on when the source kept capturing; else, or after an overflow, a new mirror is asked for. Ends on abort. */
async function replicate(seams: ProtectSeams, job: JobHandle, signal: AbortSignal): Promise<JobEvent | undefined> {
  const mounted = await remountReplica(seams, job, signal)
  await using targets = await OpenTargets.open(seams.openTarget, mounted, signal)
  const findings = new CollectedFindings(job.record.findings)
  await noteInterruptedTasks(job)
  return await withSource<JobEvent | undefined>(seams, job, PROTECTING, async source => {
    const { captureEpoch } = await prepareSource(job, source, signal)
    if (captureEpoch !== job.record.captureEpoch) return await needMirror(job, 'the agent was restarted and may have missed changes')
    await job.update({ mirrorBootId: seams.bootId })
    if (cutsOverByItself(job)) return 'cutover'
    const told = new ToldDegradations(job)
    try {
      await withUserTasks(seams, job, source, async beside => { await withRehearsals(seams, job, mounted, async inner => {
        await transmitting(seams, job, source, 'replication', async flowing => {
          await source.replicate(targets.trees, (replication, found) => {
            const shown = { ...told.look(replication.degraded ?? []), settled: settledNow(captureEpoch, seams.clock.now(), replication.recoveryPointLatencyMs) }
            job.progress(findings.add(found) ? { replication, ...shown, findings: findings.all } : { replication, ...shown })
          }, flowing)
          return undefined
        }, inner)
      }, beside) }, signal)
    } catch (error) {
      if (isAppError(error, 'CAPTURE_OVERFLOW')) return await needMirror(job, error.message)
      throw error
    } finally {
      await told.written()
    }
    return undefined
  }, signal)
}

/** Once: a cutover that was undone waits for a person. */
function cutsOverByItself(job: JobHandle): boolean {
  return job.record.options.cutover === 'automatic' && !job.record.phases.some(phase => phase.phase === 'cutting-over')
}

/** undefined: it waits for a person. */
async function needMirror(job: JobHandle, why: string): Promise<JobEvent | undefined> {
  // also where the same capture goes on, it has forgotten something
  await job.amend(({ settled }) => settled === undefined ? {} : { settled: { ...settled, captureEpoch: '' } })
  if (job.record.options.autoRemirror === 'off') {
    await job.update({ captureEpoch: undefined, health: 'error', activity: 'mirror required: replication has ended' })
    await job.note('mirror-required', `${why}: a new mirror is required, which is not made by itself; "landfall job remirror" begins it`)
    return undefined
  }
  await job.update({ captureEpoch: undefined, activity: 'a new mirror is needed' })
  await job.note('mirror-required', `${why}: what differs is mirrored again`)
  return 'mirror-required'
}
