/** Where jobs live. Every write is on disk when it resolves; a job is written whole. What is read was checked by its schema. */
import type { Job, JobEventRecord } from '../domain/job.ts'
import type { ScreenshotOf } from '../domain/replica.ts'

/** The longest list a store answers. */
export const MAX_JOBS = 1000

export interface JobStore extends AsyncDisposable {
  /** @throws {AppError} JOB_EXISTS when id or name is taken by a job that is not removed */
  insert(job: Job): Promise<void>
  /** @throws {AppError} JOB_NOT_FOUND */
  update(job: Job): Promise<void>
  /** By id, or by the name of a job that is not removed. @throws {AppError} JOB_NOT_FOUND */
  get(idOrName: string): Promise<Job>
  /** All that are not removed, oldest first, at most 1000. */
  list(): Promise<readonly Job[]>
  appendEvent(jobId: string, kind: string, message: string): Promise<JobEventRecord>
  /** Events after `sequence`, in order, at most `limit`. */
  events(jobId: string, afterSequence: number, limit: number): Promise<readonly JobEventRecord[]>
  /** Keeps the PNG in place of the last one of that job and kind. */
  putScreenshot(jobId: string, of: ScreenshotOf, png: Uint8Array): Promise<void>
  /** undefined when none was kept */
  screenshot(jobId: string, of: ScreenshotOf): Promise<Uint8Array | undefined>
}
