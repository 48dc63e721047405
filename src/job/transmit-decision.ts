/** Whether a job's data may be sent now, and how fast. Pure: job/transmitting.ts does it. */
import type { JobOptions, TransmitMode } from '../domain/job.ts'
import type { Transmission } from '../domain/transmission.ts'
import { isOpen, repeats, type TransmitSchedule } from '../domain/transmit-schedule.ts'

export type TransmitOrder = Pick<JobOptions, 'bandwidthBytesPerS' | 'bandwidthSchedule' | 'compression' | 'transmitSchedule'> & Partial<Pick<JobOptions, 'ignoreDeletes' | 'ratio'>> & { paused: boolean }

export interface TransmitFacts {
  nowMs: number
  /** when intervals without a start are counted from */
  createdAtMs: number
  /** beginning of the last transmission; undefined before the first one */
  beganAtMs: number | undefined
  /** whether it still goes on, and what it has sent */
  isRunning: boolean
  sentBytes: number
  /** changes that wait, and the age of the oldest; infinite while a mirror is not complete */
  queued: number
  oldestMs: number
}

export interface TransmitDecision {
  mode: Extract<TransmitMode, 'active' | 'paused' | 'scheduled'>
  /** one line for people: why nothing is sent */
  why: string
  line: Transmission
  /** after so long the decision may be another one; undefined: only an order changes it */
  lookAgainMs: number | undefined
}

/** So often the figures of a queue that waits are fetched. */
const WAITING_MS = 5000
const RUNNING_MS = 1000
/** A limit of bytes is overrun by what is sent in so long. */
const COUNTING_MS = 200

export function decide(order: TransmitOrder, facts: TransmitFacts): TransmitDecision {
  const line = lineAt(order, facts.nowMs)
  if (order.paused) return { mode: 'paused', why: 'paused: changes wait at the source', line, lookAgainMs: WAITING_MS }
  const schedule = order.transmitSchedule
  if (schedule === undefined) return { mode: 'active', why: '', line, lookAgainMs: order.bandwidthSchedule.length > 0 ? RUNNING_MS : undefined }
  const held = whyHeld(schedule, facts)
  if (held !== undefined) return { mode: 'scheduled', why: held, line, lookAgainMs: WAITING_MS }
  return { mode: 'active', why: '', line, lookAgainMs: schedule.byteLimit === undefined ? RUNNING_MS : COUNTING_MS }
}

/** How data goes at that time when it goes. */
export function lineAt({ bandwidthBytesPerS, bandwidthSchedule, compression, ignoreDeletes, ratio }: Pick<TransmitOrder, 'bandwidthBytesPerS' | 'bandwidthSchedule' | 'compression' | 'ignoreDeletes' | 'ratio'>, nowMs: number): Transmission {
  const window = bandwidthSchedule.find(candidate => isOpen(candidate, nowMs))
  const bandwidth = window === undefined ? bandwidthBytesPerS : window.bandwidthBytesPerS
  return { compression, ...(bandwidth === undefined ? {} : { bandwidthBytesPerS: bandwidth }), ...(ignoreDeletes === true ? { ignoreDeletes } : {}), ...(ratio === undefined ? {} : { ratio }) }
}

/** Why nothing is sent by the schedule; undefined when something is. */
function whyHeld(schedule: TransmitSchedule, facts: TransmitFacts): string | undefined {
  const { window } = schedule
  if (window !== undefined && !isOpen(window, facts.nowMs)) return `waits for the window from ${window.from} to ${window.to} ${window.timeZone ?? 'UTC'}`
  if (facts.isRunning) {
    if (isUsedUp(schedule, facts)) return 'the transmission has reached its limit; waits for the next one'
    if (repeats(schedule) && facts.queued === 0) return 'everything is sent; waits for the next transmission'
    return undefined
  }
  return isDue(schedule, facts) ? undefined : 'waits for the next transmission'
}

function isUsedUp({ byteLimit, timeLimitMs }: TransmitSchedule, { nowMs, beganAtMs, sentBytes }: TransmitFacts): boolean {
  return (byteLimit !== undefined && sentBytes >= byteLimit) || (timeLimitMs !== undefined && beganAtMs !== undefined && nowMs >= beganAtMs + timeLimitMs)
}

function isDue(schedule: TransmitSchedule, { nowMs, createdAtMs, beganAtMs, queued, oldestMs }: TransmitFacts): boolean {
  const { startAtUtc, everyMs, queuedChanges, byteLimit, timeLimitMs } = schedule
  if (queuedChanges !== undefined && queued >= queuedChanges) return true
  if (schedule.oldestMs !== undefined && oldestMs >= schedule.oldestMs) return true
  const hasLimit = byteLimit !== undefined || timeLimitMs !== undefined
  if (startAtUtc === undefined && everyMs === undefined) return !repeats(schedule) && (!hasLimit || isNewDay(schedule, beganAtMs, nowMs))
  const first = startAtUtc === undefined ? createdAtMs : Date.parse(startAtUtc)
  if (nowMs < first) return false
  const due = everyMs === undefined ? first : first + Math.floor((nowMs - first) / everyMs) * everyMs
  // a start alone without a limit goes on for good, also over an interruption
  return beganAtMs === undefined || beganAtMs < due || (!repeats(schedule) && !hasLimit)
}

/** With a window alone a limit is that of each opening. */
function isNewDay({ window }: TransmitSchedule, beganAtMs: number | undefined, nowMs: number): boolean {
  if (beganAtMs === undefined || window === undefined) return true
  // looked at in steps that no window fits between unseen
  for (let at = beganAtMs; at < nowMs; at += 60_000) if (!isOpen(window, at)) return true
  return false
}
