/**
 * What replication writes to while a test cutover reads from the disks of the replica, to which nothing may be written then: further children of those disks. They are
 * thrown away with the test; the replica is then as it was when the test was made, and a mirror sends what has changed since. (A child cannot be merged into its
 * parent through the vSphere API but by removing a snapshot of the VM that has both.)
 */
import type { Job } from '../domain/job.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import type { VirtualDisk } from '../domain/target.ts'
import { needsReplicaAsItIs } from '../domain/test-cutover.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { JobHandle, Seams } from './step.ts'
import { changeTest, testOf } from './test-record.ts'

/** The plan with the stand-ins as its disks. Pure. */
export function standInPlan(plan: ReplicaPlan): ReplicaPlan {
  return inFolder(plan, `${plan.folder}-meanwhile`)
}

/** The plan with disks of the same names in another folder. Pure. */
export function inFolder(plan: ReplicaPlan, folder: string): ReplicaPlan {
  return { ...plan, folder, disks: plan.disks.map(disk => ({ ...disk, path: disk.path.replace(`] ${plan.folder}/`, `] ${folder}/`) })) }
}

/** What replication writes to, as far as it was made. Pure. */
export function disksInUse({ built, testCutover }: Pick<Job, 'built' | 'testCutover'>): readonly VirtualDisk[] {
  return needsReplicaAsItIs(testCutover) ? testCutover.standIns : built?.disks ?? []
}

/** Made and in the appliance when this resolves, as far as they are not; each is written down before it is made. The replica's own disks are attached to nothing. */
export async function makeStandIns(job: JobHandle, plan: ReplicaPlan, hypervisor: Hypervisor, signal: AbortSignal): Promise<readonly VirtualDisk[]> {
  const standIns = [...testOf(job).standIns]
  // from the first one on it is they who are written to
  if (testOf(job).settledBeforeMs === undefined) await changeTest(job, { settledBeforeMs: job.record.settled?.beforeMs ?? 0 })
  for (const [i, disk] of (job.record.built?.disks ?? []).entries()) {
    const known = standIns[i]
    if (known !== undefined && known.uuid !== '') continue
    const path = standInPlan(plan).disks[i]?.path ?? ''
    // nothing was written to what a try before this one has left
    if (known !== undefined) {
      await hypervisor.detachDisks([known], signal)
      await hypervisor.deleteDisk(known, signal)
    }
    standIns[i] = { ...disk, path, uuid: '' }
    await changeTest(job, { standIns: [...standIns] })
    standIns[i] = await hypervisor.attachChild(disk, path, signal)
    await changeTest(job, { standIns: [...standIns] })
  }
  return standIns
}

/** Thrown away, with what was written to them: from then on the replica is as it was when the test was made, which is written down before. Nothing when there are none. */
export async function discardStandIns({ volumes, replica }: Pick<Seams, 'volumes' | 'replica'>, job: JobHandle, hypervisor: Hypervisor, signal: AbortSignal): Promise<void> {
  const { standIns, settledBeforeMs = 0 } = testOf(job)
  if (standIns.length === 0) return
  await job.update({ captureEpoch: undefined, settled: { captureEpoch: '', beforeMs: settledBeforeMs } })
  await replica.discard({ jobId: job.record.id, built: { disks: standIns }, hypervisor, volumes, keepDisks: false }, async rest => { await changeTest(job, { standIns: rest.disks }) }, signal)
  await changeTest(job, { standIns: [], settledBeforeMs: undefined })
}
