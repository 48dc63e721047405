/** Periods as people write them: a number with s, m, h, d or w behind it. */
import { AppError } from '../errors/app-error.ts'

const UNITS_MS = { s: 1000, m: 60_000, h: 3600_000, d: 86_400_000, w: 7 * 86_400_000 } as const

/** Longest period: about a hundred years. */
export const MAX_PERIOD_MS = 100 * 366 * UNITS_MS.d

/** Milliseconds. `what` names it in the message. @throws {AppError} REQUEST_INVALID */
export function parsePeriodMs(text: string, what: string): number {
  const [, number, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  const periodMs = number === undefined ? Infinity : Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS]
  if (periodMs > MAX_PERIOD_MS) throw new AppError('REQUEST_INVALID', `${what} needs a period up to a hundred years like 45s, 30m, 12h, 7d or 2w, not "${text}"`)
  return periodMs
}
