/** What a person asks of test cutovers, decided on the record of the job. Pure. */
import type { Job } from '../domain/job.ts'
import { isTested, type TestDisks } from '../domain/test-cutover.ts'
import { AppError } from '../errors/app-error.ts'
import type { JobChange } from './step.ts'

const SUFFIX = '-test'
const MAX_NAME = 80

/** What is asked for; the isolated network must be. */
export interface TestOptions { network?: string | undefined, testDisks?: TestDisks | undefined, keepMs?: number | undefined }

/** @throws {AppError} JOB_TRANSITION_INVALID, TEST_NETWORK_REFUSED, REQUEST_INVALID without a network */
export function testOrder({ state, plan, options, testCutover }: Pick<Job, 'state' | 'plan' | 'options' | 'testCutover'>, { network, testDisks, keepMs }: TestOptions, nowUtc: string): JobChange {
  if (state !== 'protecting') throw new AppError('JOB_TRANSITION_INVALID', `a job that is ${state} cannot be cut over for a test`)
  if (isTested(testCutover)) throw new AppError('JOB_TRANSITION_INVALID', 'the last test cutover of this job was not undone yet')
  if (network === undefined || network === '') throw new AppError('REQUEST_INVALID', 'a test cutover needs the name of a network that reaches neither the source nor its users')
  const own = new Set([...(plan?.adapters ?? []).map(a => a.network), ...options.networks.map(n => n.network), options.defaultNetwork])
  if (own.has(network)) throw new AppError('TEST_NETWORK_REFUSED', `"${network}" is a network of this job: the test VM has the addresses of the source, and would meet it there`)
  return { testCutover: { state: 'wanted', network, vmName: `${options.vmName.slice(0, MAX_NAME - SUFFIX.length)}${SUFFIX}`, kind: testDisks ?? 'copies', ...keepMs === undefined ? {} : { keepMs }, disks: [], standIns: [], hasVm: false, startedAtUtc: nowUtc } }
}

/** @throws {AppError} JOB_TRANSITION_INVALID when there is nothing to undo, or nobody to do it */
export function undoOrder({ state, testCutover }: Pick<Job, 'state' | 'testCutover'>): JobChange {
  if (testCutover === undefined || !isTested(testCutover)) throw new AppError('JOB_TRANSITION_INVALID', 'this job has no test cutover to undo')
  if (state !== 'protecting') throw new AppError('JOB_TRANSITION_INVALID', `the test cutover of a job that is ${state} cannot be undone; that is possible again when it protects, and removing the job removes it`)
  if (testCutover.state === 'wanted') return { testCutover: { ...testCutover, state: 'undone' } }
  return { testCutover: { ...testCutover, state: 'undoing' } }
}
