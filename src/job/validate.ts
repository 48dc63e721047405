/** Step of `validating`: what runs on the source, what the target offers, the plan, and everything a person should know before the start. */
import type { Finding } from '../domain/finding.ts'
import type { Job } from '../domain/job.ts'
import { CODES } from '../errors/codes.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import type { JobEvent } from './job-state.ts'
import { passphraseOf } from './open-replica.ts'
import type { JobHandle, Seams } from './step.ts'
import { connectedSource } from './with-source.ts'

const DESCRIBE_MS = 120_000

/** An unreachable source or VMware server is a finding, too: the person corrects it and validates again. */
export async function validate(
  { sources, openHypervisor, replica, store, passphrases, clock, times }: Pick<Seams, 'sources' | 'openHypervisor' | 'replica' | 'store' | 'passphrases' | 'clock' | 'times'>,
  job: JobHandle, signal: AbortSignal,
): Promise<JobEvent> {
  await job.update({ activity: 'asking the source and the VMware server', lastError: undefined })
  const findings: Finding[] = conflicts(job.record, await store.list())
  const workload = await found(findings, 'source', async () => {
    const source = await connectedSource({ sources, clock }, job, times.connectMs, signal)
    return await source.describe(AbortSignal.any([signal, AbortSignal.timeout(DESCRIBE_MS)]))
  }, signal)
  const places = await found(findings, 'VMware server', async () => {
    await using hypervisor = await openHypervisor(job.record.vmware, signal)
    return await hypervisor.places(signal)
  }, signal)
  if (workload !== undefined && places !== undefined) {
    const planned = replica.plan({ jobId: job.record.id, workload, options: job.record.options, places })
    findings.push(...planned.findings)
    if (isEncrypted(planned.plan)) await found(findings, 'passphrase', async () => await passphraseOf({ passphrases }, job), signal)
    await job.update({ workload, plan: planned.plan })
  }
  const errors = findings.filter(finding => finding.severity === 'error').length
  const warnings = findings.filter(finding => finding.severity === 'warning').length
  const passed = errors === 0 && job.record.plan !== undefined && workload !== undefined && places !== undefined
  const activity = passed ? `ready to start, ${String(warnings)} warnings` : `${String(errors)} errors and ${String(warnings)} warnings: see the validation`
  await job.update({ validation: findings, activity, health: errors > 0 ? 'error' : warnings > 0 ? 'warning' : 'ok' })
  return passed ? 'validation-passed' : 'validation-failed'
}

function isEncrypted(plan: ReplicaPlan | undefined): boolean {
  return [...plan?.volumes ?? [], ...plan?.volumeGroups?.flatMap(g => g.physicalVolumes) ?? []].some(({ encryption }) => encryption !== undefined)
}

/** What `ask` answers; what a person can correct becomes a finding. */
async function found<T>(findings: Finding[], subject: string, ask: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Error && error.name === 'TimeoutError') {
      throw new AppError('LINK_LOST', `the ${subject} did not answer within ${String(DESCRIBE_MS / 1000)} s`, { cause: error })
    }
    if (!isAppError(error) || error.code === 'INTERNAL') throw error
    findings.push({ code: error.code, severity: 'error', subject, message: error.message, advice: CODES[error.code].operator })
    return undefined
  }
}

/** Other jobs that want the same source or the same VM name. */
function conflicts(job: Job, jobs: readonly Job[]): Finding[] {
  const others = jobs.filter(other => other.id !== job.id && other.state !== 'completed')
  const sameSource = others.filter(other => other.source === job.source && !['created', 'invalid', 'ready'].includes(other.state))
  const sameVm = others.filter(other => other.vmware === job.vmware && other.options.vmName === job.options.vmName && !['created', 'invalid'].includes(other.state))
  return [
    ...sameSource.map((other): Finding => ({
      code: 'SOURCE_IN_OTHER_JOB', severity: 'error', subject: 'source', message: `the source is in job ${other.name}, which is ${other.state}`,
      advice: 'A source is in one job at a time: delete one of the jobs.',
    })),
    ...sameVm.map((other): Finding => ({
      code: 'VM_NAME_TAKEN', severity: 'error', subject: job.options.vmName, message: `job ${other.name} will make a VM of this name, too`,
      advice: CODES.VM_NAME_TAKEN.operator,
    })),
  ]
}
