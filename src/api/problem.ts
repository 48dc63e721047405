/** The only writer of error answers: application/problem+json (RFC 9457) with our code and what to do; never a stack, never a secret. */
import type { Logger } from '../logging/logger.ts'
import type { Problem } from '../domain/server.ts'
import type { ErrorRequestHandler } from 'express'
import { AppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'

/** What a client is told of an error. */
export function problemOf(error: unknown): Problem {
  const known = knownError(error)
  const code = known?.code ?? 'INTERNAL'
  const { httpStatus, operator, retryable } = CODES[code]
  return {
    type: `urn:landfall:error:${code}`, title: code, status: httpStatus, code, operator, retryable,
    // an unexpected error may quote anything; the log has it
    detail: known?.message ?? 'an unexpected error occurred; the log of the appliance has the details',
  }
}

/** Express' last handler. */
export function problemWriter(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const problem = problemOf(error)
    if (problem.code === 'INTERNAL') log.error({ err: error, method: request.method, path: request.path }, 'request failed unexpectedly')
    else log.debug({ err: error, method: request.method, path: request.path }, 'request was refused')
    if (response.headersSent) {
      next(error) // Express closes the connection: the client must not take half an answer for a whole one
      return
    }
    if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer')
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem))
  }
}

/** Our errors, and those of the body parser, whose messages are about the request. */
function knownError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return undefined
  if (error.name === 'TimeoutError') return new AppError('VSPHERE_TIMEOUT', 'the server asked did not answer in time', { cause: error })
  if ('status' in error && typeof error.status === 'number' && error.status >= 400 && error.status < 500) {
    return new AppError('REQUEST_INVALID', `the request cannot be read: ${error.message}`, { cause: error })
  }
  return undefined
}
