/** Step of `provisioning`: the planned disks exist, hang on the appliance, and their volumes are mounted. Also the way back after a stop or a failure. */
import type { JobEvent } from './job-state.ts'
import { mountReplica } from './open-replica.ts'
import { restoreReplica } from './restore-replica.ts'
import { retractVm } from './retract-vm.ts'
import type { JobHandle, Seams } from './step.ts'

export async function provision(
  { sources, openHypervisor, volumes, replica, passphrases, clock, log }: Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'replica' | 'passphrases' | 'clock' | 'log'>, job: JobHandle, signal: AbortSignal,
): Promise<JobEvent> {
  await job.update({ activity: 'making and mounting the disks of the replica' })
  await using hypervisor = await openHypervisor(job.record.vmware, signal)
  // a VM of an unproven cutover holds the disks that are needed here
  await retractVm(job, hypervisor, signal)
  const mounted = await mountReplica({ sources, openHypervisor, volumes, replica, passphrases, clock, log }, job, hypervisor, signal)
  await restoreReplica({ volumes, replica, log }, job, mounted, signal)
  // the disks are known by their UUIDs, their file systems by theirs: from here on the volumes say themselves whose they are
  await volumes.mark(mounted, signal)
  await job.note('provisioned', `${String(job.record.built?.disks.length ?? 0)} disks attached, ${String(mounted.length)} volumes mounted`)
  return 'provisioned'
}
