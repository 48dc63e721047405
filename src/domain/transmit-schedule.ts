/** When a job's data may be sent, and how fast when. Times of day are those of a time zone; without one they are in UTC. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { MAX_PERIOD_MS } from './period.ts'
import { Bandwidth } from './transmission.ts'

const DAY_MINUTES = 24 * 60

const TimeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'a time of day from 00:00 to 23:59')
const TimeZone = z.string().max(64).refine(isTimeZone, 'a time zone like Europe/Berlin or UTC')

/** Open from `from` (inclusive) to `to`; over midnight when `to` is the earlier one. */
export const DailyWindow = z.strictObject({ from: TimeOfDay, to: TimeOfDay, timeZone: TimeZone.optional() })
export type DailyWindow = z.infer<typeof DailyWindow>

/** The bandwidth within a window; left out: no limit there. */
export const BandwidthWindow = DailyWindow.extend({ bandwidthBytesPerS: Bandwidth.optional() })
export type BandwidthWindow = z.infer<typeof BandwidthWindow>

/** The first window that is open counts. */
export const BandwidthSchedule = z.array(BandwidthWindow).max(24)
export type BandwidthSchedule = z.infer<typeof BandwidthSchedule>

/**
 * Between transmissions changes wait at the source. A transmission begins by any of `startAtUtc`, `everyMs`, `queuedChanges`, `oldestMs`, or
 * whenever the window is open when there is none of these; it ends at a limit, at the end of the window, and when nothing waits any more
 * and something will begin the next one. The window wins: nothing begins, and nothing goes on, outside of it.
 */
export const TransmitSchedule = z.strictObject({
  startAtUtc: z.iso.datetime().optional(),
  /** again after so long, counted from `startAtUtc`, or from the creation of the job */
  everyMs: z.number().int().min(1000).max(MAX_PERIOD_MS).optional(),
  /** as soon as so many changes wait */
  queuedChanges: z.number().int().min(1).max(1e9).optional(),
  /** as soon as a change has waited for so long */
  oldestMs: z.number().int().min(1000).max(MAX_PERIOD_MS).optional(),
  byteLimit: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  timeLimitMs: z.number().int().min(1000).max(MAX_PERIOD_MS).optional(),
  window: DailyWindow.optional(),
})
export type TransmitSchedule = z.infer<typeof TransmitSchedule>

/** Whether something begins a transmission again and again. */
export function repeats({ everyMs, queuedChanges, oldestMs }: TransmitSchedule): boolean {
  return everyMs !== undefined || queuedChanges !== undefined || oldestMs !== undefined
}

/** @throws {AppError} SCHEDULE_NEVER_OPENS when nothing would ever be sent by it */
export function checkTransmitSchedule(schedule: TransmitSchedule, nowMs: number): void {
  const { window, startAtUtc } = schedule
  if (window !== undefined && window.from === window.to) throw never(`its window from ${window.from} to ${window.to} is never open`)
  if (repeats(schedule)) return
  if (startAtUtc !== undefined && Date.parse(startAtUtc) < nowMs) throw never(`its start at ${startAtUtc} is over, and nothing else begins a transmission`)
  if (startAtUtc === undefined && window === undefined) throw never('it has no start, no interval, no queue and no window that begins a transmission')
}

/** @throws {AppError} SCHEDULE_NEVER_OPENS when one of the windows is never open */
export function checkBandwidthSchedule(schedule: BandwidthSchedule): void {
  for (const { from, to } of schedule) if (from === to) throw never(`the bandwidth's window from ${from} to ${to} is never open`)
}

/** Whether the window is open at that time. Pure. */
export function isOpen({ from, to, timeZone }: DailyWindow, nowMs: number): boolean {
  const now = minuteOfDay(nowMs, timeZone ?? 'UTC')
  const length = (minutes(to) - minutes(from) + DAY_MINUTES) % DAY_MINUTES
  return (now - minutes(from) + DAY_MINUTES) % DAY_MINUTES < length
}

function minuteOfDay(nowMs: number, timeZone: string): number {
  return minutes(new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(nowMs))
}

function minutes(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone })
    return true
  } catch {
    return false // a RangeError is its answer
  }
}

function never(why: string): AppError {
  return new AppError('SCHEDULE_NEVER_OPENS', `the transmit schedule never opens: ${why}`)
}
