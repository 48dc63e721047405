/** Step of `removing`: nothing of the job is left on the source, the appliance and the target, except what is to be kept. */
import type { VirtualDisk } from '../domain/target.ts'
import { isTested } from '../domain/test-cutover.ts'
import { AppError } from '../errors/app-error.ts'
import { clearTest } from './clear-test.ts'
import type { JobEvent } from './job-state.ts'
import { isHandedOver } from './job-state.ts'
import { retractVm } from './retract-vm.ts'
import type { JobHandle, Seams } from './step.ts'

const RELEASE_MS = 30_000

/**
 * A replica that was handed over is its users' server: its VM and disks are not even looked at. Otherwise the VM goes, and the disks unless they are kept.
 * @throws {AppError} VSPHERE_STATE when an unproven replica VM runs
 */
export async function remove(
  { sources, openHypervisor, volumes, replica, passphrases, clock, log }: Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'replica' | 'passphrases' | 'clock' | 'log'>, job: JobHandle, signal: AbortSignal,
): Promise<JobEvent> {
  const { record } = job
  await job.update({ activity: 'removing' })
  await clearTest({ openHypervisor, volumes, replica, clock, log }, job, signal, 'undone')
  if (isTested(job.record.testCutover)) throw new AppError('VSPHERE_STATE', job.record.testCutover.message ?? 'the test cutover could not be undone')
  await letGo({ sources, log }, job, signal)
  await passphrases.remove(record.id)
  if (isHandedOver(record)) {
    await job.note('kept', `the VM ${record.plan?.vmName ?? record.options.vmName} and its disks belong to their users and were not touched`)
    return 'cleaned-up'
  }
  if (!record.phases.some(phase => phase.phase === 'provisioning')) return 'cleaned-up'
  const keepDisks = record.keepDisks ?? false
  await using hypervisor = await openHypervisor(record.vmware, signal)
  await retractVm(job, hypervisor, signal)
  await replica.forgetFixUps({ jobId: record.id, volumes })
  const built = { disks: everMade(job) }
  await replica.discard({ jobId: record.id, built, hypervisor, volumes, keepDisks }, async rest => { await job.update({ built: rest }) }, signal)
  await job.note('discarded', keepDisks ? `the disks are kept: ${built.disks.map(disk => disk.path).join(', ')}` : `${String(built.disks.length)} disks deleted`)
  return 'cleaned-up'
}

/** The disks that are known, and those that a kill may have hidden between their making and its record: the folder is the job's own. */
function everMade({ record }: JobHandle): VirtualDisk[] {
  const known = record.built?.disks ?? []
  const paths = new Set(known.map(disk => disk.path))
  const hidden = (record.plan?.disks ?? []).filter(disk => !paths.has(disk.path))
  return [...known, ...hidden.map(({ path, sizeBytes }): VirtualDisk => ({ path, sizeBytes, uuid: '' }))]
}

/** The agent stops capturing; one that is away is told so when it connects again. */
async function letGo({ sources, log }: Pick<Seams, 'sources' | 'log'>, job: JobHandle, signal: AbortSignal): Promise<void> {
  const source = sources.find(job.record.source)
  if (source === undefined) return
  try {
    await source.release(AbortSignal.any([signal, AbortSignal.timeout(RELEASE_MS)]), { completed: isHandedOver(job.record) })
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ err: error, jobId: job.record.id }, 'source of a removed job could not be let go')
    await job.note('source-not-released', 'the source could not be told; it is told when it connects again')
  }
}
