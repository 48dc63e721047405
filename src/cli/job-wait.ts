/** Waiting for a job, for the commands that do. */
import type { Job, JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'

/** The failure that a state is for somebody who waits for something else; undefined when it may still come. */
export function failureOf(view: JobView): AppError | undefined {
  const { name, state, lastError } = view
  if (state === 'failed') {
    return new AppError(errorCodeOf(lastError), `job ${name} failed: ${lastError?.message ?? view.activity}`)
  }
  if (state === 'invalid') {
    const errors = view.validation.filter(f => f.severity === 'error').length
    return new AppError('JOB_VALIDATION_FAILED', `job ${name} did not pass validation: ${String(errors)} ${errors === 1 ? 'error' : 'errors'}`)
  }
  if (state === 'stopped') return new AppError('JOB_TRANSITION_INVALID', `job ${name} was stopped`)
  if (state === 'removed') return new AppError('JOB_NOT_FOUND', `job ${name} was removed`)
  return undefined
}

/** The code of what a job says went wrong. */
export function errorCodeOf(lastError: Job['lastError']): ErrorCode {
  return lastError !== undefined && isCode(lastError.code) ? lastError.code : 'INTERNAL'
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(CODES, code)
}
