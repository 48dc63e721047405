/** The flags of `job create` and `job set` that say how and when a job's data is sent. */
import { Option, type Command } from 'commander'
import { z } from 'zod'
import type { EditJob } from '../domain/job.ts'
import { parsePeriodMs } from '../domain/period.ts'
import { Compression, parseBandwidth, parseRatio } from '../domain/transmission.ts'
import { BandwidthWindow, DailyWindow, TransmitSchedule } from '../domain/transmit-schedule.ts'
import { AppError } from '../errors/app-error.ts'
import { collect } from './command.ts'

export const SendingFlags = z.object({
  bandwidth: z.string().optional(), bandwidthWindow: z.array(z.string()).optional(), compression: Compression.optional(),
  autoRemirror: z.enum(['checksum', 'attributes', 'full', 'off']).optional(),
  transmitAt: z.string().optional(), transmitEvery: z.string().optional(), transmitQueued: z.string().optional(), transmitOlder: z.string().optional(),
  transmitBytes: z.string().optional(), transmitFor: z.string().optional(), transmitWindow: z.string().optional(), transmitAlways: z.boolean().optional(),
  ignoreDeletes: z.boolean().optional(), ratio: z.string().optional(),
})
export type SendingFlags = z.infer<typeof SendingFlags>

export function addSendingOptions(command: Command): Command {
  return command.option('--bandwidth <rate>', 'bytes per second on the wire in each direction, 3500 at least, or "unlimited"')
    .option('--bandwidth-window <window=rate>', 'another rate within a daily window, like 08:00-18:00=100000 or 22:00-06:00@Europe/Berlin=unlimited; repeatable, the first open one counts; "none" for none', collect)
    .addOption(new Option('--compression <level>', 'compress data on the wire').choices(Compression.options))
    .addOption(new Option('--auto-remirror <how>', 'what a mirror that is needed again compares; off: it waits for a person').choices(['checksum', 'attributes', 'full', 'off']))
    .option('--ignore-deletes', 'names that vanish on the source stay on the replica').option('--no-ignore-deletes', 'they vanish there, too')
    .option('--ratio <mirror:replication>', 'how mirror and replication share the line while both have something to send, like 3:1; 1:1 when left out')
    .option('--transmit-at <time>', 'send from this time on, like 2026-01-31T22:00:00Z; until then changes wait at the source')
    .option('--transmit-every <period>', 'send what waits at this interval, like 30m or 1d')
    .option('--transmit-queued <changes>', 'send when so many changes wait').option('--transmit-older <period>', 'send when a change has waited for so long, like 15m')
    .option('--transmit-bytes <n>', 'end a transmission after so many bytes').option('--transmit-for <period>', 'end a transmission after so long')
    .option('--transmit-window <window>', 'send only within this daily window, like 22:00-06:00 (UTC) or 22:00-06:00@Europe/Berlin; it wins over all others')
}

/** What was given, as the API's EditJob. @throws {AppError} REQUEST_INVALID; ZodError for values that the API would refuse */
export function sendingOf(flags: SendingFlags): EditJob {
  const { bandwidth, bandwidthWindow, compression, autoRemirror, transmitAlways } = flags
  const schedule = scheduleOf(flags)
  if (transmitAlways === true && schedule !== undefined) throw new AppError('REQUEST_INVALID', '--transmit-always takes the schedule away; it goes with no other --transmit option')
  return {
    ...(bandwidth === undefined ? {} : { bandwidthBytesPerS: parseBandwidth(bandwidth, '--bandwidth') ?? null }),
    ...(bandwidthWindow === undefined ? {} : { bandwidthSchedule: bandwidthWindow.filter(window => window !== 'none').map(bandwidthWindowOf) }),
    ...(compression === undefined ? {} : { compression }), ...(flags.ignoreDeletes === undefined ? {} : { ignoreDeletes: flags.ignoreDeletes }), ...(autoRemirror === undefined ? {} : { autoRemirror }),
    ...(flags.ratio === undefined ? {} : { ratio: parseRatio(flags.ratio, '--ratio') }),
    ...(transmitAlways === true ? { transmitSchedule: null } : schedule === undefined ? {} : { transmitSchedule: schedule }),
  }
}

function scheduleOf({ transmitAt, transmitEvery, transmitQueued, transmitOlder, transmitBytes, transmitFor, transmitWindow }: SendingFlags): TransmitSchedule | undefined {
  const schedule = {
    ...(transmitAt === undefined ? {} : { startAtUtc: utcOf(transmitAt) }),
    ...(transmitEvery === undefined ? {} : { everyMs: parsePeriodMs(transmitEvery, '--transmit-every') }),
    ...(transmitQueued === undefined ? {} : { queuedChanges: numberOf(transmitQueued, '--transmit-queued') }),
    ...(transmitOlder === undefined ? {} : { oldestMs: parsePeriodMs(transmitOlder, '--transmit-older') }),
    ...(transmitBytes === undefined ? {} : { byteLimit: numberOf(transmitBytes, '--transmit-bytes') }),
    ...(transmitFor === undefined ? {} : { timeLimitMs: parsePeriodMs(transmitFor, '--transmit-for') }),
    ...(transmitWindow === undefined ? {} : { window: windowOf(transmitWindow, '--transmit-window') }),
  }
  return Object.keys(schedule).length === 0 ? undefined : TransmitSchedule.parse(schedule)
}

function windowOf(text: string, flag: string): DailyWindow {
  const [, from, to, timeZone] = /^(\d\d:\d\d)-(\d\d:\d\d)(?:@(.+))?$/.exec(text) ?? []
  const window = DailyWindow.safeParse({ from, to, ...(timeZone === undefined ? {} : { timeZone }) })
  if (!window.success) throw new AppError('REQUEST_INVALID', `${flag} needs a window like 22:00-06:00 or 22:00-06:00@Europe/Berlin, not "${text}"`)
  return window.data
}

function bandwidthWindowOf(text: string): BandwidthWindow {
  const at = text.lastIndexOf('=')
  if (at < 0) throw new AppError('REQUEST_INVALID', `--bandwidth-window needs a window and a rate like 08:00-18:00=100000, not "${text}"`)
  const bandwidthBytesPerS = parseBandwidth(text.slice(at + 1), '--bandwidth-window')
  return { ...windowOf(text.slice(0, at), '--bandwidth-window'), ...(bandwidthBytesPerS === undefined ? {} : { bandwidthBytesPerS }) }
}

function utcOf(text: string): string {
  const at = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(at)) throw new AppError('REQUEST_INVALID', `--transmit-at needs a time like 2026-01-31T22:00:00Z, not "${text}"`)
  return new Date(at).toISOString()
}

function numberOf(text: string, flag: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new AppError('REQUEST_INVALID', `${flag} needs a number, not "${text}"`)
  return Number(text)
}
