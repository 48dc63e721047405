/** The job store in memory, for tests. Records go through JSON and the schema as on disk, so that nothing is shared with the caller. */
import { Job, type JobEventRecord } from '../domain/job.ts'
import type { ScreenshotOf } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { MAX_JOBS, type JobStore } from './job-store.ts'

export class MemoryJobStore implements JobStore {
  readonly #jobs = new Map<string, string>()
  readonly #events = new Map<string, JobEventRecord[]>()
  readonly #screenshots = new Map<string, Uint8Array>()
  readonly #now: () => Date

  constructor(now: () => Date = () => new Date()) {
    this.#now = now
  }

  async insert(job: Job): Promise<void> {
    const taken = this.#jobs.has(job.id) || (await this.list()).some(other => other.name === job.name)
    if (taken) throw new AppError('JOB_EXISTS', `there is a job named ${job.name}`)
    this.#jobs.set(job.id, JSON.stringify(job))
  }

  async update(job: Job): Promise<void> {
    if (!this.#jobs.has(job.id)) throw new AppError('JOB_NOT_FOUND', `there is no job ${job.id}`)
    this.#jobs.set(job.id, JSON.stringify(job))
  }

  async get(idOrName: string): Promise<Job> {
    const json = this.#jobs.get(idOrName)
    if (json !== undefined) return read(json)
    const named = (await this.list()).find(job => job.name === idOrName)
    if (named === undefined) throw new AppError('JOB_NOT_FOUND', `there is no job ${idOrName}`)
    return named
  }

  async list(): Promise<readonly Job[]> {
    return [...this.#jobs.values()].map(read).filter(job => job.state !== 'removed').slice(0, MAX_JOBS)
  }

  async appendEvent(jobId: string, kind: string, message: string): Promise<JobEventRecord> {
    const events = this.#events.get(jobId) ?? []
    const event = { sequence: events.length + 1, jobId, atUtc: this.#now().toISOString(), kind, message }
    this.#events.set(jobId, [...events, event])
    return event
  }

  async events(jobId: string, afterSequence: number, limit: number): Promise<readonly JobEventRecord[]> {
    return (this.#events.get(jobId) ?? []).filter(event => event.sequence > afterSequence).slice(0, limit)
  }

  async putScreenshot(jobId: string, of: ScreenshotOf, png: Uint8Array): Promise<void> {
    this.#screenshots.set(`${of} ${jobId}`, Uint8Array.from(png))
  }

  async screenshot(jobId: string, of: ScreenshotOf): Promise<Uint8Array | undefined> {
    return this.#screenshots.get(`${of} ${jobId}`)
  }

  /** Keeps what it holds: a test opens it again, as the file on disk would be. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve()
  }
}

const read = (json: string): Job => Job.parse(JSON.parse(json))
