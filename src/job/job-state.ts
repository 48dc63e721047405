/**
 * The life of a job. This table is the only place that says which move is legal; states and actions are named in `domain/job.ts`. A state is persisted
 * before the engine acts on it, and each state's step may run again from its start. Pausing and a lost link are no states.
 */
import { AppError } from '../errors/app-error.ts'
import { JobAction, type Job, type JobState, type TransmitMode } from '../domain/job.ts'
import { isTested } from '../domain/test-cutover.ts'

/** What moves a job on: an action of a user, or what its step found. `resume` is a retry that finds a replica begun. */
export type JobEvent =
  | Exclude<JobAction, OrderAction> | 'validation-passed' | 'validation-failed' | 'provisioned' | 'mirror-complete' | 'mirror-required' | 'cutover-undone'
  | 'replica-booted' | 'step-failed' | 'resume' | 'cleaned-up'

/** Actions that move nothing: the step that runs obeys them. */
export type OrderAction = 'pause' | 'resume' | 'rehearse' | 'test-cutover' | 'undo-test-cutover'

type Row = Partial<Record<JobEvent, JobState>>

export const TRANSITIONS = {
  created:        { validate: 'validating', remove: 'removing' },
  validating:     { 'validation-passed': 'ready', 'validation-failed': 'invalid', 'step-failed': 'failed', remove: 'removing' },
  invalid:        { validate: 'validating', remove: 'removing' },
  ready:          { start: 'provisioning', validate: 'validating', remove: 'removing' },
  provisioning:   { provisioned: 'mirroring', stop: 'stopped', 'step-failed': 'failed', remove: 'removing' },
  mirroring:      { 'mirror-complete': 'protecting', stop: 'stopped', 'step-failed': 'failed', remove: 'removing' },
  protecting:     { cutover: 'cutting-over', remirror: 'mirroring', 'mirror-required': 'mirroring', stop: 'stopped', 'step-failed': 'failed', remove: 'removing' },
  stopped:        { start: 'provisioning', remove: 'removing' },
  'cutting-over': { 'replica-booted': 'completed', 'cutover-undone': 'provisioning', 'step-failed': 'failed' },
  completed:      { remove: 'removing' },
  failed:         { retry: 'validating', resume: 'provisioning', remove: 'removing' },
  removing:       { 'cleaned-up': 'removed', 'step-failed': 'failed' },
  removed:        {},
} as const satisfies Record<JobState, Row>

/** @throws {AppError} JOB_TRANSITION_INVALID when `event` is not legal in `from`. */
export function nextState(from: JobState, event: JobEvent): JobState {
  const row: Row = TRANSITIONS[from]
  const to = row[event]
  if (to === undefined) throw new AppError('JOB_TRANSITION_INVALID', `a job that is ${from} cannot ${event}`)
  return to
}

/** States in which data flows, or may be paused. */
const FLOWING_STATES: readonly JobState[] = ['provisioning', 'mirroring', 'protecting']

/** The actions a user can ask for now, in the order of `JobAction`. */
export function offeredActions({ state, paused, testCutover, captureEpoch }: Pick<Job, 'state' | 'paused' | 'testCutover' | 'captureEpoch'>): JobAction[] {
  const row: Row = TRANSITIONS[state]
  return JobAction.options.filter(action => {
    if (action === 'pause' || action === 'resume') return FLOWING_STATES.includes(state) && (action === 'resume') === (paused === true)
    if (action === 'rehearse') return state === 'protecting'
    if (action === 'test-cutover') return state === 'protecting' && !isTested(testCutover)
    if (action === 'cutover') return state === 'protecting' && !isTested(testCutover) && captureEpoch !== undefined
    if (action === 'undo-test-cutover') return state === 'protecting' && isTested(testCutover)
    return row[action] !== undefined
  })
}

/** What a job shows: a flow that is not there is stopped. */
export function shownTransmitMode({ state, paused, transmitMode }: Pick<Job, 'state' | 'paused' | 'transmitMode'>): TransmitMode {
  if (state === 'cutting-over') return 'active'
  if (!FLOWING_STATES.includes(state)) return 'stopped'
  return paused === true ? 'paused' : transmitMode ?? 'active'
}

/**
 * Whether the action pauses (true) or resumes (false) the flow; undefined when it is another one. A start of a paused job resumes.
 * @throws {AppError} JOB_TRANSITION_INVALID when there is no flow
 */
export function pauses(action: JobAction, { state, paused }: Pick<Job, 'state' | 'paused'>): boolean | undefined {
  if (action === 'start' && paused === true && FLOWING_STATES.includes(state)) return false
  if (action !== 'pause' && action !== 'resume') return undefined
  if (!FLOWING_STATES.includes(state)) throw new AppError('JOB_TRANSITION_INVALID', `a job that is ${state} cannot ${action}`)
  return action === 'pause'
}

/** Whether the replica was handed over to its users: from then on its VM and disks are theirs, whatever happens to the job. */
export function isHandedOver(job: Pick<Job, 'cutoverSteps'>): boolean {
  return job.cutoverSteps.includes('proved')
}

/**
 * The event an action stands for in this job.
 * @throws {AppError} JOB_VALIDATION_FAILED when an invalid job is started; JOB_TRANSITION_INVALID when a handed-over job is tried again, or a cutover needs something else first
 */
export function eventOfAction(action: Exclude<JobAction, OrderAction>, job: Pick<Job, 'state' | 'built' | 'validation' | 'cutoverSteps' | 'testCutover' | 'captureEpoch'>): JobEvent {
  if (action === 'start' && job.state === 'invalid') {
    const errors = job.validation.filter(finding => finding.severity === 'error').map(finding => finding.message)
    throw new AppError('JOB_VALIDATION_FAILED', `the job has ${String(errors.length)} validation errors: ${errors.slice(0, 5).join('; ')}`)
  }
  if (action === 'cutover' && job.state === 'protecting' && isTested(job.testCutover)) {
    throw new AppError('JOB_TRANSITION_INVALID', 'the test cutover of this job comes first to its end: undo it with "landfall job test-cutover NAME --undo"')
  }
  if (action === 'cutover' && job.state === 'protecting' && job.captureEpoch === undefined) {
    throw new AppError('JOB_TRANSITION_INVALID', 'the replica of this job has missed changes, and a new mirror comes first: begin it with "landfall job remirror NAME"')
  }
  if (action !== 'retry') return action
  if (isHandedOver(job)) throw new AppError('JOB_TRANSITION_INVALID', 'the replica of this job is in use already; the job can only be removed')
  return (job.built?.disks.length ?? 0) > 0 ? 'resume' : 'retry'
}

/** States in which a step runs; a restart of the appliance enters them again. */
export const ACTIVE_STATES: readonly JobState[] = ['validating', 'provisioning', 'mirroring', 'protecting', 'cutting-over', 'removing']
