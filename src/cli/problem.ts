/** Every failure of a command as one Problem: what is printed, and with which exit code the command ends. */
import { z } from 'zod'
import { Problem } from '../domain/server.ts'
import { isAppError } from '../errors/app-error.ts'
import { CODES, type CodeEntry } from '../errors/codes.ts'

/** The answer of the appliance when it was one, else a problem of the same form. */
export function problemOf(error: unknown): Problem {
  const remote = isAppError(error) ? Problem.safeParse(error.cause) : undefined
  if (remote?.success === true) return remote.data
  const code = isAppError(error) ? error.code : error instanceof z.ZodError ? 'REQUEST_INVALID' : 'INTERNAL'
  const { httpStatus, operator, retryable } = CODES[code]
  const detail = error instanceof z.ZodError ? describeIssues(error) : error instanceof Error ? error.message : String(error)
  return { type: 'about:blank', title: code, status: httpStatus, detail, code, operator, retryable }
}

/** By the code; a code of a newer appliance by its HTTP status. */
export function exitCodeOf({ code, status }: Problem): number {
  const known: Readonly<Record<string, CodeEntry>> = CODES
  const entry = Object.hasOwn(CODES, code) ? known[code] : undefined
  if (entry !== undefined) return entry.exitCode
  if (status === 404) return 3
  if (status === 409) return 4
  if (status === 401 || status === 403) return 5
  if (status === 503 || status === 504) return 6
  return status >= 400 && status < 500 ? 2 : 1
}

/** "options.vmName: letters, digits …" for each value that does not fit. */
function describeIssues(error: z.ZodError): string {
  return error.issues.slice(0, 5).map(i => `${i.path.map(String).join('.') || 'value'}: ${i.message}`).join('; ')
}
