/** Takes back a replica VM that never became its users' server: the VM goes, its disks stay. */
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { isHandedOver } from './job-state.ts'
import { planned } from './open-replica.ts'
import type { JobHandle } from './step.ts'

/**
 * Afterwards there is no VM of this job, and the record says so; nothing when there was none.
 * @throws {AppError} VSPHERE_STATE when the VM was handed over, or runs: somebody may be using it
 */
export async function retractVm(job: JobHandle, hypervisor: Hypervisor, signal: AbortSignal): Promise<void> {
  const { record } = job
  if (isHandedOver(record)) throw new AppError('VSPHERE_STATE', `the replica of job ${record.name} is in use; it is not touched`)
  const vmId = record.built?.vmId ?? await unrecordedVm(job, hypervisor, signal)
  if (vmId !== undefined) {
    if (await hypervisor.powerState(vmId, signal) !== 'off') {
      throw new AppError('VSPHERE_STATE', `the VM ${record.plan?.vmName ?? vmId} of job ${record.name} runs: power it off first, if nobody needs it`)
    }
    await hypervisor.removeVm(vmId, signal)
    await job.note('vm-removed', `the unused replica VM ${record.plan?.vmName ?? vmId} was removed; its disks are kept`)
  }
  // what was done to the volumes is undone when they are mounted
  await job.update({ built: { disks: record.built?.disks ?? [] }, cutoverSteps: record.cutoverSteps.filter(step => step === 'fixing-boot' || step === 'changing') })
}

/** The VM of a cutover that was killed between making it and writing its id down. Making it again finds it. */
async function unrecordedVm(job: JobHandle, hypervisor: Hypervisor, signal: AbortSignal): Promise<string | undefined> {
  if (!job.record.cutoverSteps.includes('creating-vm')) return undefined
  try {
    return await hypervisor.createVm({ plan: planned(job).plan, disks: job.record.built?.disks ?? [], jobId: job.record.id }, signal)
  } catch (error) {
    // the name is another's: ours was never made, and that may be why
    if (isAppError(error, 'VM_NAME_TAKEN')) return undefined
    throw error
  }
}
