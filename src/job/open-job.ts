/** One job that is held open: the only writer of its record. Changes are made one after another and are on disk before they are believed. */
import type { Clock } from '../clock/clock.ts'
import { Job, type JobState } from '../domain/job.ts'
import type { Logger } from '../logging/logger.ts'
import { ACTIVE_STATES, nextState, type JobEvent } from './job-state.ts'
import type { JobStore } from './job-store.ts'
import { closePhase, openPhase } from './phases.ts'
import type { JobChange, JobHandle } from './step.ts'
import { Wakers } from './wakers.ts'

const PERSIST_EVERY_MS = 1000

interface Parts { store: JobStore, clock: Clock, log: Logger, changed: (jobId: string) => void }

export class OpenJob implements JobHandle {
  #record: Job
  readonly #parts: Parts
  readonly #orders = new Wakers()
  #queue: Promise<void> = Promise.resolve()
  #persistedAtMs = 0
  #persisting = false

  constructor(record: Job, parts: Parts) {
    this.#record = record
    this.#parts = parts
  }

  get record(): Job {
    return this.#record
  }

  async update(change: JobChange): Promise<void> {
    await this.#serially(async () => { await this.#persist(applied(this.#record, change)) })
  }

  async amend(change: (record: Job) => JobChange): Promise<void> {
    await this.#serially(async () => { await this.#persist(applied(this.#record, change(this.#record))) })
  }

  progress(change: JobChange): void {
    this.#record = applied(this.#record, change)
    this.#parts.changed(this.#record.id)
    if (this.#persisting || this.#parts.clock.now() - this.#persistedAtMs < PERSIST_EVERY_MS) return
    this.#persisting = true
    void this.#persistFigures()
  }

  async ordered(signal: AbortSignal): Promise<void> {
    await this.#orders.next(this.#record.id, signal)
  }

  /** A person's change, decided on the record as it is in that moment; on disk when it resolves, then the step is told. */
  async order(change: (record: Job) => JobChange): Promise<void> {
    await this.amend(change)
    this.#orders.wake(this.#record.id)
  }

  async note(kind: string, message: string): Promise<void> {
    await this.#parts.store.appendEvent(this.#record.id, kind, message)
    this.#parts.log.info({ jobId: this.#record.id, kind, detail: message }, 'job event')
    this.#parts.changed(this.#record.id)
  }

  /**
   * Moves the job on, when `superseded` is not aborted by then; `act` decides on the record as it is in that moment.
   * @returns the state entered, or undefined when superseded
   * @throws {AppError} JOB_TRANSITION_INVALID
   */
  async move(act: (record: Job) => { event: JobEvent, change: JobChange }, superseded?: AbortSignal): Promise<JobState | undefined> {
    return await this.#serially(async () => {
      if (superseded?.aborted === true) return undefined
      const { event, change } = act(this.#record)
      const from = this.#record.state
      const state = nextState(from, event)
      const nowUtc = new Date(this.#parts.clock.now()).toISOString()
      const closed = closePhase(this.#record.phases, from, nowUtc)
      const phases = ACTIVE_STATES.includes(state) ? openPhase(closed, state, nowUtc) : closed
      await this.#persist({ ...applied(this.#record, { phases, ...change }), state })
      await this.note('state', `${from} -> ${state} (${event})`)
      return state
    })
  }

  async #persistFigures(): Promise<void> {
    try {
      await this.#serially(async () => { await this.#persist(this.#record) })
    } catch (error) {
      this.#parts.log.warn({ err: error, jobId: this.#record.id }, 'progress of the job could not be stored')
    } finally {
      this.#persisting = false
    }
  }

  async #persist(record: Job): Promise<void> {
    const next = { ...record, updatedAtUtc: new Date(this.#parts.clock.now()).toISOString() }
    await this.#parts.store.update(next)
    this.#record = next
    this.#persistedAtMs = this.#parts.clock.now()
    this.#parts.changed(next.id)
  }

  async #serially<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#queue
    let free = (): void => undefined
    this.#queue = new Promise<void>(resolve => { free = resolve })
    await before
    try {
      return await work()
    } finally {
      free()
    }
  }
}

/** The record with the change; a key that is undefined is taken away. */
function applied(record: Job, change: JobChange): Job {
  const merged = Object.entries({ ...record, ...change }).filter(([, value]) => value !== undefined)
  return Job.parse(Object.fromEntries(merged))
}
