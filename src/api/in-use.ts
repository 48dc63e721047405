/** A server that a job needs is not removed. */
import type { Job } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import type { JobEngine } from '../job/job-engine.ts'

/** @throws {AppError} SERVER_IN_USE naming the jobs */
export function assertUnused(engine: Pick<JobEngine, 'list'>, uses: (job: Job) => boolean, serverName: string): void {
  const jobs = engine.list().filter(uses)
  if (jobs.length > 0) throw new AppError('SERVER_IN_USE', `${serverName} is used by ${jobs.slice(0, 5).map(job => `job ${job.name}`).join(', ')}`)
}
