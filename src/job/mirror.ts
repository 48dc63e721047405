/** Step of `mirroring`: the capture runs on the source before the first read, then everything that differs is copied. */
import type { Job, JobOptions } from '../domain/job.ts'
import type { OrphanPolicy } from '../domain/orphan.ts'
import { NO_MIRROR_PROGRESS } from '../domain/progress.ts'
import type { MirrorRequest } from '../wire/messages.ts'
import { CollectedFindings } from './collect-findings.ts'
import type { JobEvent } from './job-state.ts'
import { OpenTargets, remountReplica } from './open-replica.ts'
import { prepareSource } from './prepare-source.ts'
import { settledBefore, settledNow } from './settled.ts'
import type { JobHandle, Seams } from './step.ts'
import { transmitting } from './transmitting.ts'
import { withSource } from './with-source.ts'

/** As mirrorBootId: the replica itself wrote on its disks, and was switched off. No kernel has it as the id of its start. */
export const REPLICA_RAN = 'replica-ran'

/** A lost link is waited for and the mirror goes on with what still differs. @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE */
export async function mirror(
  seams: Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'openTarget' | 'replica' | 'passphrases' | 'clock' | 'log' | 'bootId'>, job: JobHandle, signal: AbortSignal,
): Promise<JobEvent> {
  const mounted = await remountReplica(seams, job, signal)
  await using targets = await OpenTargets.open(seams.openTarget, mounted, signal)
  const findings = new CollectedFindings(job.record.findings)
  return await withSource<JobEvent>(seams, job, 'mirroring', async source => {
    const { captureEpoch } = await prepareSource(job, source, signal)
    if (captureEpoch === job.record.captureEpoch) {
      await job.note('mirror-current', 'the replica is complete and the source kept every change since: no new mirror is needed')
      return 'mirror-complete'
    }
    // whoever protects finds the missed changes, too, and says that they wait
    if (waitsForPerson(job.record)) return 'mirror-complete'
    const compare = comparison(job.record, seams.bootId)
    await job.note('mirror-begun', compare === 'none' ? 'everything is sent' : `what differs is sent, found by comparing ${compare}`)
    // written down before the first effect: from here on the replica is not complete
    await job.update({ captureEpoch: undefined, mirror: NO_MIRROR_PROGRESS, replication: undefined, mirrorBootId: job.record.mirrorBootId ?? seams.bootId })
    const unsure = settledBefore(job.record, captureEpoch)
    const report = await transmitting(seams, job, source, 'mirror', async inner => ({
      done: await source.mirror({ compare, ...policy(job.record.options) }, targets.trees, (mirrored, found, orphans, replication) => {
        if (orphans.length > 0) return
        job.progress({ mirror: mirrored, ...replication === undefined ? {} : { replication, settled: settledNow(captureEpoch, seams.clock.now(), replication.recoveryPointLatencyMs) }, ...findings.add(found) ? { findings: findings.all } : {} })
      }, inner, { settledBeforeMs: unsure }),
    }), signal)
    if (report === undefined) throw signal.reason as Error
    findings.add(report.findings)
    await job.update({ mirror: report.progress, findings: findings.all, captureEpoch, mirrored: true, mirrorBootId: seams.bootId, rehearsal: { state: 'wanted' } })
    await job.note('mirror-complete', `${String(report.progress.filesDone)} files, ${String(report.progress.bytesSent)} bytes sent, ${String(report.progress.findings)} findings`)
    return 'mirror-complete'
  }, signal)
}

/** Whether a replica that was complete is not mirrored again by itself; a person who orders it, or starts the job after a stop, has made it forget its capture. */
function waitsForPerson({ options, mirrored, captureEpoch }: Job): boolean {
  return options.autoRemirror === 'off' && mirrored === true && captureEpoch !== undefined
}

/** What becomes of orphans; those that the options leave out are not in the request. */
function policy({ orphans, orphansOlderThanMs, removeOutside, ignoreDeletes }: JobOptions): OrphanPolicy {
  return { orphans: ignoreDeletes ? 'keep' : orphans, ...(orphansOlderThanMs === undefined ? {} : { orphansOlderThanMs }), ...(removeOutside === undefined ? {} : { removeOutside }) }
}

/**
 * The first mirror does as the job says, also when it goes on after an interruption: the replica's mark knows what has arrived. Later ones send what
 * differs; when the appliance's kernel has started anew since the last write, or the replica ran, files may have their times but not their data, so that only the data tells.
 */
export function comparison(job: Pick<Job, 'options' | 'mirror' | 'mirrored' | 'mirrorBootId'>, bootId: string): MirrorRequest['compare'] {
  if (job.mirror === undefined || job.options.compare === 'data') return job.options.compare
  const again = { checksum: 'data', attributes: 'attributes', full: 'none', off: 'attributes' } as const
  const wanted = job.mirrored === true ? again[job.options.autoRemirror] : job.options.compare
  return job.mirrorBootId !== undefined && job.mirrorBootId !== bootId && !(job.mirrored === true && wanted === 'none') ? 'data' : wanted
}
