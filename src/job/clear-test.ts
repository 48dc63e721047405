/** Takes a test cutover away, wherever it was broken off; and its record. */
import type { ReplicaPlan } from '../domain/replica.ts'
import { isTested, type TestCutover } from '../domain/test-cutover.ts'
import { isAppError } from '../errors/app-error.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { discardStandIns, inFolder } from './stand-ins.ts'
import type { JobHandle, Seams } from './step.ts'
import { changeTest, testOf } from './test-record.ts'

type ClearSeams = Pick<Seams, 'openHypervisor' | 'volumes' | 'replica' | 'clock' | 'log'>
type EndSeams = ClearSeams & Pick<Seams, 'sources'>

export const UNDO = 'Undo it with: landfall job test-cutover NAME --undo'

/** Where the test's disks are mounted and what marks the VM as of the test. */
export function testId(jobId: string): string {
  return `${jobId}-test`
}

/** The plan with other disks, another VM, and every adapter on the isolated network. Pure. */
export function testPlan(plan: ReplicaPlan, { network, vmName }: Pick<TestCutover, 'network' | 'vmName'>): ReplicaPlan {
  return { ...inFolder(plan, `${plan.folder}-test`), vmName, adapters: plan.adapters.map(adapter => ({ ...adapter, network })) }
}

/** What was interrupted while its disks were, or may have been, in the appliance is taken away, before the disks of the replica come there. Nothing otherwise. */
export async function abandonTest(seams: EndSeams, job: JobHandle, signal: AbortSignal): Promise<void> {
  const state = job.record.testCutover?.state
  if (state === 'making') await clearTest(seams, job, signal, 'failed', 'it was interrupted in the middle')
  if (state !== 'undoing') return
  await sourceOfStandIns(seams, job, signal)
  await clearTest(seams, job, signal, 'undone')
}

/** What stand-ins hold is newer than the replica: they go only while there is a source from which it can be mirrored. */
async function sourceOfStandIns({ sources }: Pick<Seams, 'sources'>, job: JobHandle, signal: AbortSignal): Promise<void> {
  const { source, testCutover } = job.record
  if (testCutover === undefined || testCutover.standIns.length === 0 || sources.find(source) !== undefined) return
  await job.update({ health: 'warning', activity: 'the test cutover is undone when the source is connected: until then the stand-ins of the disks hold what it had last' })
  await sources.waitFor(source, signal)
}

/** Nothing of the test is left: VM, mounts, disks. What cannot be taken away is told, stays in the record, and can be tried again. Nothing when there is no test. */
export async function clearTest(seams: ClearSeams, job: JobHandle, signal: AbortSignal, outcome: 'undone' | 'failed', message?: string): Promise<void> {
  const { volumes, replica, clock, log } = seams
  if (outcome === 'failed') await job.note('test-cutover', `the test cutover failed: ${message ?? ''}. Replication goes on, nothing else was touched.`)
  const test = job.record.testCutover
  if (!isTested(test)) return
  const hasStandIns = test.standIns.length > 0
  const jobId = testId(job.record.id)
  try {
    await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
    const vmId = test.vmId ?? (test.hasVm ? await unrecordedVm(job, hypervisor, signal) : undefined)
    await replica.forgetFixUps({ jobId, volumes })
    const built = { disks: test.disks, ...vmId === undefined ? {} : { vmId } }
    await replica.discard({ jobId, built, hypervisor, volumes, keepDisks: false }, async rest => {
      await changeTest(job, { disks: rest.disks, vmId: rest.vmId, hasVm: rest.vmId !== undefined })
    }, signal)
    await changeTest(job, { disks: [], vmId: undefined, hasVm: false })
    await discardStandIns({ volumes, replica }, job, hypervisor, signal)
  } catch (error) {
    signal.throwIfAborted()
    const why = error instanceof Error ? error.message : String(error)
    log.warn({ err: error, jobId: job.record.id }, 'test cutover could not be undone')
    await end(job, { state: 'failed', message: `${message === undefined ? '' : `${message}. `}It could not be undone: ${why}` }, clock)
    await job.note('test-cutover', `the test cutover could not be undone: ${why}. ${UNDO.replace('NAME', job.record.name)}`)
    return
  }
  await end(job, { state: outcome, ...message === undefined ? {} : { message } }, clock)
  if (outcome === 'undone') await job.note('test-cutover', `the test cutover was undone: its VM and its disks are gone${hasStandIns ? '; what the source changed since it was made is mirrored again' : ''}`)
}

/** The VM of a test that was killed between making it and writing its id down. Making it again finds it. */
async function unrecordedVm(job: JobHandle, hypervisor: Hypervisor, signal: AbortSignal): Promise<string | undefined> {
  const test = testOf(job)
  const { plan } = job.record
  if (plan === undefined) return undefined
  try {
    return await hypervisor.createVm({ plan: testPlan(plan, test), disks: test.disks, jobId: testId(job.record.id) }, signal)
  } catch (error) {
    if (isAppError(error, 'VM_NAME_TAKEN') || isAppError(error, 'VSPHERE_NOT_FOUND')) return undefined
    throw error
  }
}

async function end(job: JobHandle, changed: Partial<TestCutover>, clock: Seams['clock']): Promise<void> {
  const endedAtUtc = new Date(clock.now()).toISOString()
  await job.amend(({ testCutover }) => (testCutover === undefined ? {} : { testCutover: { ...testCutover, ...changed, endedAtUtc } }))
}
