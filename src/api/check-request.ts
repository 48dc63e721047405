/** Schema in, typed value out. */
import type { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

const MAX_ISSUES = 5

/**
 * The value as the schema has it, with defaults. A key that the schema does not know is refused, too: a misspelt option must not be ignored.
 * @throws {AppError} REQUEST_INVALID naming each place
 */
export function checkRequest<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  const issues = result.success
    ? unknownKeys(value, result.data, [])
    : result.error.issues.map(issue => `${issue.path.length === 0 ? what : issue.path.join('.')}: ${issue.message}`)
  if (!result.success || issues.length > 0) {
    const more = issues.length > MAX_ISSUES ? ` and ${String(issues.length - MAX_ISSUES)} more` : ''
    throw new AppError('REQUEST_INVALID', `the ${what} is not valid: ${issues.slice(0, MAX_ISSUES).join('; ')}${more}`)
  }
  return result.data
}

function unknownKeys(given: unknown, taken: unknown, path: readonly string[]): string[] {
  if (Array.isArray(given) && Array.isArray(taken)) return given.flatMap((item, index) => unknownKeys(item, taken[index], [...path, String(index)]))
  if (!isRecord(given) || !isRecord(taken)) return []
  return Object.keys(given).flatMap(key => (Object.hasOwn(taken, key) ? unknownKeys(given[key], taken[key], [...path, key]) : [`${[...path, key].join('.')}: not known`]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
