/**
 * Runs the jobs: one step per job at a time, the one of its state. Promises: a state is on disk before it is acted on; at a start every job goes on in the
 * state it was in; an action of a user interrupts the running step and is answered when it is on disk. It knows the order, and nothing of disks or sources.
 */
import { randomUUID } from 'node:crypto'
import { JobOptions, type CreateJob, type EditJob, type Job, type JobAction, type JobEventRecord, type JobState } from '../domain/job.ts'
import type { ScreenshotOf } from '../domain/replica.ts'
import { checkBandwidthSchedule, checkTransmitSchedule } from '../domain/transmit-schedule.ts'
import { MAX_USER_TASKS, type AddUserTask, type UserTask } from '../domain/user-task.ts'
import { CODES } from '../errors/codes.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { SourceServer } from '../source/source-server.ts'
import { finishOwed } from './finish-source.ts'
import { ACTIVE_STATES, eventOfAction, pauses, type JobEvent } from './job-state.ts'
import { OpenJob } from './open-job.ts'
import { testOrder, undoOrder, type TestOptions } from './order-test-cutover.ts'
import type { JobChange, Seams, Step } from './step.ts'
import { Wakers } from './wakers.ts'

export type JobNotice = { event: 'job', job: Job } | { event: 'history', record: JobEventRecord }

type EngineParts = Pick<Seams, 'store' | 'clock' | 'log'>

/** What an action takes along: whether a removal keeps the disks, and how a test cutover is made. */
export interface ActOptions extends TestOptions { keepDisks?: boolean }

interface Run { abort: AbortController, done: Promise<void> }

const WATCH_PAUSE_MS = 250
const EVENTS_AT_ONCE = 100
const END_MS = 20_000

export class JobEngine implements AsyncDisposable {
  readonly #parts: EngineParts
  readonly #steps: Partial<Record<JobState, Step>>
  readonly #jobs = new Map<string, OpenJob>()
  readonly #runs = new Map<string, Run>()
  readonly #wakers = new Wakers()
  #closing = false

  private constructor(parts: EngineParts, steps: Partial<Record<JobState, Step>>) {
    this.#parts = parts
    this.#steps = steps
  }

  /** Loads all jobs and goes on with those that were under way. @throws {AppError} STORE_INVALID */
  static async start(parts: EngineParts, steps: Partial<Record<JobState, Step>>): Promise<JobEngine> {
    const engine = new JobEngine(parts, steps)
    for (const record of await parts.store.list()) {
      const job = engine.#hold(record)
      if (ACTIVE_STATES.includes(record.state)) await job.note('resumed', `the appliance was started; the job goes on in ${record.state}`)
      engine.#enter(job)
    }
    return engine
  }

  /** `source` and `vmware` are ids. @throws {AppError} JOB_EXISTS, SCHEDULE_NEVER_OPENS */
  async create(request: CreateJob): Promise<Job> {
    checkSending(request.options, this.#parts.clock.now())
    const nowUtc = new Date(this.#parts.clock.now()).toISOString()
    const record: Job = {
      version: 1, id: randomUUID(), name: request.name, source: request.source, vmware: request.vmware, state: 'created', health: 'unknown',
      activity: 'not validated yet', options: request.options, validation: [], findings: [], cutoverSteps: [], phases: [], createdAtUtc: nowUtc, updatedAtUtc: nowUtc,
    }
    await this.#parts.store.insert(record)
    await this.#hold(record).note('state', 'created')
    return record
  }

  /** By id or name. @throws {AppError} JOB_NOT_FOUND */
  async get(idOrName: string): Promise<Job> {
    return this.#find(idOrName)?.record ?? await this.#parts.store.get(idOrName)
  }

  /** Oldest first. */
  list(): readonly Job[] {
    return [...this.#jobs.values()].map(job => job.record)
  }

  /**
   * Does what a user asks: it is on disk when this resolves, and the step of the new state begins when the running one has ended.
   * @throws {AppError} JOB_NOT_FOUND, JOB_TRANSITION_INVALID, JOB_VALIDATION_FAILED, TEST_NETWORK_REFUSED
   */
  async act(idOrName: string, action: JobAction, options: ActOptions = {}): Promise<Job> {
    const job = this.#find(idOrName)
    if (job === undefined) {
      await this.#parts.store.get(idOrName)
      throw new AppError('JOB_TRANSITION_INVALID', `a job that is removed cannot ${action}`)
    }
    if (action === 'rehearse') {
      await job.order(({ state, rehearsal }) => {
        if (state !== 'protecting') throw new AppError('JOB_TRANSITION_INVALID', `a job that is ${state} cannot rehearse`)
        return rehearsal?.state === 'running' ? {} : { rehearsal: { ...rehearsal, state: 'wanted' } }
      })
      return job.record
    }
    if (action === 'test-cutover' || action === 'undo-test-cutover') {
      const nowUtc = new Date(this.#parts.clock.now()).toISOString()
      await job.order(record => (action === 'test-cutover' ? testOrder(record, options, nowUtc) : undoOrder(record)))
      await job.note('test-cutover', action === 'test-cutover' ? `a test cutover to the network ${options.network ?? ''} was asked for` : 'the test cutover is to be undone')
      return job.record
    }
    const pause = pauses(action, job.record)
    if (action === 'pause' || action === 'resume' || pause !== undefined) {
      await job.order(record => ({ paused: pauses(action, record) === true ? true : undefined }))
      await job.note('transmit-mode', pause === true ? 'the flow of data is paused; changes wait at the source' : 'the flow of data goes on where it was')
      return job.record
    }
    await job.move(record => ({ event: eventOfAction(action, record), change: changeFor(action, options) }))
    this.#enter(job)
    return job.record
  }

  /**
   * Changes options that may change at any time; they are on disk when this resolves, and a step that runs obeys them at once.
   * @throws {AppError} JOB_NOT_FOUND, SCHEDULE_NEVER_OPENS
   */
  async edit(idOrName: string, edit: EditJob): Promise<Job> {
    const job = this.#find(idOrName)
    if (job === undefined) {
      await this.#parts.store.get(idOrName)
      throw new AppError('JOB_TRANSITION_INVALID', 'a job that is removed cannot be changed')
    }
    checkSending(edit, this.#parts.clock.now())
    await job.order(record => ({ options: edited(record.options, edit), ...(edit.transmitSchedule === undefined ? {} : { transmissionBeganAtUtc: undefined }) }))
    await job.note('edited', `changed: ${Object.keys(edit).join(', ') || 'nothing'}`)
    return job.record
  }

  /**
   * Puts a user's task into the stream of a job; it runs on this machine when everything captured until now is on the replica.
   * @throws {AppError} JOB_NOT_FOUND, JOB_TRANSITION_INVALID when nothing flows, TASKS_FULL
   */
  async addUserTask(idOrName: string, { script, arguments: args, timeoutMs }: AddUserTask): Promise<Job> {
    const job = this.#find(idOrName)
    if (job === undefined) {
      await this.#parts.store.get(idOrName)
      throw new AppError('JOB_TRANSITION_INVALID', 'a job that is removed has no stream')
    }
    const added: UserTask = { id: randomUUID(), script, arguments: args, timeoutMs, state: 'waiting', addedAtUtc: new Date(this.#parts.clock.now()).toISOString() }
    await job.order(record => ({ userTasks: withTask(record, added) }))
    await job.note('user-task', `task ${script} waits for what was captured before it`)
    return job.record
  }

  /** Events after `sequence`, at most `limit`. @throws {AppError} JOB_NOT_FOUND */
  async history(idOrName: string, afterSequence: number, limit: number): Promise<readonly JobEventRecord[]> {
    return await this.#parts.store.events((await this.get(idOrName)).id, afterSequence, limit)
  }

  /** PNG of what the last VM of that kind showed. @throws {AppError} JOB_NOT_FOUND, SCREENSHOT_NOT_FOUND */
  async screenshot(idOrName: string, of: ScreenshotOf): Promise<Uint8Array> {
    const { id, name, screenshot, testCutover } = await this.get(idOrName)
    const kept = of === 'cutover' ? screenshot : testCutover?.screenshot
    const png = kept === undefined ? undefined : await this.#parts.store.screenshot(id, of)
    if (png === undefined) throw new AppError('SCREENSHOT_NOT_FOUND', `there is no screenshot of the last ${of} of job ${name}`)
    return png
  }

  /** The job now and after each change, and its history behind `afterSequence`; ends when the job is removed. @throws {AppError} JOB_NOT_FOUND */
  async *watch(idOrName: string, afterSequence: number, signal: AbortSignal): AsyncGenerator<JobNotice> {
    const { id } = await this.get(idOrName)
    let sequence = afterSequence
    let shown: Job | undefined
    for (;;) {
      const changed = this.#wakers.next(id, signal)
      let events: readonly JobEventRecord[]
      do {
        events = await this.#parts.store.events(id, sequence, EVENTS_AT_ONCE)
        for (const record of events) {
          sequence = record.sequence
          yield { event: 'history', record }
        }
      } while (events.length === EVENTS_AT_ONCE)
      const job = await this.get(id)
      if (job !== shown) yield { event: 'job', job }
      shown = job
      if (job.state === 'removed') return
      await changed
      if (signal.aborted) return
      await this.#parts.clock.sleep(WATCH_PAUSE_MS, signal)
    }
  }

  /** To be called with each new connection: what a complete cutover could not tell it is told, and an agent that still captures for a job which let it go is released. */
  async sourceConnected(source: SourceServer, signal: AbortSignal): Promise<void> {
    this.#wakeJobsOf(source.sourceId)
    source.ended.addEventListener('abort', () => { this.#wakeJobsOf(source.sourceId) }, { once: true })
    await finishOwed(this.#jobs.values(), source, signal)
    const state = this.#jobs.get(source.capturingJobId)?.record.state
    if (source.capturingJobId === '' || (state !== undefined && state !== 'stopped')) return
    this.#parts.log.info({ sourceId: source.sourceId, jobId: source.capturingJobId }, 'source is released from a job that is gone')
    await source.release(signal)
  }

  /** Interrupts the steps and waits until they have ended. The jobs stay in their states. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    const runs = [...this.#runs.values()]
    for (const run of runs) run.abort.abort(new DOMException('the appliance is shut down', 'AbortError'))
    const late = new AbortController()
    const timer = setTimeout(() => { late.abort() }, END_MS)
    await Promise.race([Promise.all(runs.map(async run => { await run.done })), new Promise<void>(resolve => { late.signal.addEventListener('abort', () => { resolve() }, { once: true }) })])
    clearTimeout(timer)
  }

  #hold(record: Job): OpenJob {
    const job = new OpenJob(record, { ...this.#parts, changed: id => { this.#wakers.wake(id) } })
    this.#jobs.set(record.id, job)
    return job
  }

  #find(idOrName: string): OpenJob | undefined {
    return this.#jobs.get(idOrName) ?? [...this.#jobs.values()].find(job => job.record.name === idOrName)
  }

  #wakeJobsOf(sourceId: string): void {
    for (const { record } of this.#jobs.values()) if (record.source === sourceId) this.#wakers.wake(record.id)
  }

  #enter(job: OpenJob): void {
    if (this.#closing) return
    const before = this.#runs.get(job.record.id)
    before?.abort.abort(new DOMException('another action was asked for', 'AbortError'))
    const abort = new AbortController()
    this.#runs.set(job.record.id, { abort, done: this.#run(job, before?.done, abort.signal) })
  }

  /** Step after step, until none is due or another run takes over. Never fails. */
  async #run(job: OpenJob, before: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
    await before
    try {
      for (;;) {
        const step = this.#steps[job.record.state]
        if (step === undefined || signal.aborted) break
        const event = await this.#outcome(job, step, signal)
        if (event === undefined) break
        const state = await job.move(() => event, signal)
        if (state === undefined) break
      }
    } catch (error) {
      this.#parts.log.error({ err: error, jobId: job.record.id }, 'job could not be moved on; it goes on when the appliance is started again')
    }
    if (job.record.state === 'removed') {
      this.#jobs.delete(job.record.id)
      this.#runs.delete(job.record.id)
      this.#wakers.wake(job.record.id)
    }
  }

  /** What the step found; its failure is an outcome, too. */
  async #outcome(job: OpenJob, step: Step, signal: AbortSignal): Promise<{ event: JobEvent, change: JobChange } | undefined> {
    const { id: jobId, state } = job.record
    try {
      const event = await step(job, signal)
      return event === undefined || signal.aborted ? undefined : { event, change: {} }
    } catch (error) {
      if (signal.aborted) return undefined
      const code = isAppError(error) ? error.code : 'INTERNAL'
      const message = error instanceof Error ? error.message : String(error)
      this.#parts.log.error({ err: error, jobId, state }, 'step of the job failed')
      await job.note('failed', `${code}: ${message}`)
      if (!ACTIVE_STATES.includes(state)) return undefined
      const atUtc = new Date(this.#parts.clock.now()).toISOString()
      return { event: 'step-failed', change: { health: 'error', activity: message, lastError: { code, message, operator: CODES[code].operator, atUtc } } }
    }
  }
}

/** @throws {AppError} JOB_TRANSITION_INVALID, TASKS_FULL */
function withTask({ state, userTasks = [] }: Pick<Job, 'state' | 'userTasks'>, added: UserTask): UserTask[] {
  if (state !== 'mirroring' && state !== 'protecting') throw new AppError('JOB_TRANSITION_INVALID', `a job that is ${state} has no stream of changes to put a task into`)
  const all = [...userTasks, added]
  while (all.length > MAX_USER_TASKS) {
    const oldest = all.findIndex(task => task.state !== 'waiting' && task.state !== 'running')
    if (oldest < 0) throw new AppError('TASKS_FULL', `${String(MAX_USER_TASKS)} tasks wait already`)
    all.splice(oldest, 1)
  }
  return all
}

/** @throws {AppError} SCHEDULE_NEVER_OPENS */
function checkSending({ transmitSchedule, bandwidthSchedule }: EditJob, nowMs: number): void {
  if (transmitSchedule != null) checkTransmitSchedule(transmitSchedule, nowMs)
  checkBandwidthSchedule(bandwidthSchedule ?? [])
}

/** The options with the change; null takes one away. */
function edited(options: JobOptions, edit: EditJob): JobOptions {
  const merged = Object.entries({ ...options, ...edit }).filter(([, value]) => value !== undefined && value !== null)
  return JobOptions.parse(Object.fromEntries(merged))
}

function changeFor(action: JobAction, options: ActOptions): JobChange {
  const fresh: JobChange = { lastError: undefined, ...(action === 'start' || action === 'stop' ? { paused: undefined, transmitMode: undefined, transmissionBeganAtUtc: undefined } : {}) }
  if (action === 'remirror') return { ...fresh, captureEpoch: undefined }
  if (action === 'remove') return { ...fresh, keepDisks: options.keepDisks ?? false }
  return fresh
}
