/** The flags that `lab -- mirror` and `lab -- replicate` share, and what they mean. */
import { Option, type Command } from 'commander'
import { parsePeriodMs } from '../../src/domain/period.ts'
import { checkRules, type Rule } from '../../src/domain/rule.ts'
import { Compression, parseBandwidth } from '../../src/domain/transmission.ts'
import { AppError } from '../../src/errors/app-error.ts'
import type { MirrorRequest } from '../../src/wire/messages.ts'
import type { VerifyBy } from '../../src/domain/verification.ts'
import type { Task } from './receiver-task.ts'
import type { TransferOptions, VerifyOptions } from './transfer.ts'

export interface TransferFlags {
  compare: MirrorRequest['compare']
  include: string[], exclude: string[], includeFlat: string[], excludeFlat: string[]
  orphans: MirrorRequest['orphans'], orphansFolder?: string, orphansOlderThan?: string, orphansPreview?: boolean, removeOutside?: boolean
  bandwidth: string[], compression: Compression, ignoreDeletes?: boolean
  volumeId?: string, mark?: boolean
  capture: NonNullable<TransferOptions['capture']>, watches?: number
  task?: string, freeze?: boolean
  json?: boolean
}

export interface VerifyFlags { verify?: VerifyBy, repair?: boolean, report?: string, progress?: boolean }

const keep = (value: string, before: string[]): string[] => [...before, value]

export function transferOptions(command: Command): Command {
  return command.addOption(new Option('--compare <how>', 'what is compared before it is sent').choices(['none', 'attributes', 'data']).default('none'))
    .option('--include <pattern>', 'mirror only what this matches, with all that is below; repeatable', keep, [])
    .option('--exclude <pattern>', 'leave out what this matches, with all that is below, on both sides; repeatable', keep, [])
    .option('--include-flat <pattern>', 'as --include, of a directory only the files directly in it', keep, [])
    .option('--exclude-flat <pattern>', 'as --exclude, of a directory only the files directly in it', keep, [])
    .addOption(new Option('--orphans <what>', 'what DST has and SRC has not').choices(['keep', 'delete', 'move']).default('keep'))
    .option('--orphans-folder <dir>', 'where --orphans move puts them, in a new folder of the run; outside SRC and DST')
    .option('--orphans-older-than <period>', 'only orphans modified longer ago go, like 7d, 12h or 2w')
    .option('--orphans-preview', 'change nothing: tell what DST has and SRC has not, and what would become of it')
    .option('--remove-outside', 'what DST has outside of the rules goes too')
    .option('--volume-id <id>', 'refuse DST unless it is the root of the volume that bears this id')
    .option('--mark', 'with --volume-id: give DST the id first, when it bears none and is empty')
    .option('--bandwidth <rate>', 'bytes per second on the wire, 3500 at least, or "unlimited"; repeatable, PERIOD:RATE holds from then on, like 10s:50000', keep, [])
    .addOption(new Option('--compression <how>', 'how data is compressed on the wire').choices(Compression.options).default('off'))
    .option('--ignore-deletes', 'replicate: names that vanish from SRC stay in DST')
    .addOption(new Option('--capture <how>', 'replicate: how changes are seen; auto takes fanotify where it can be had').choices(['auto', 'fanotify', 'inotify']).default('fanotify'))
    .option('--watches <n>', 'replicate by inotify: directories that are watched at most', Number)
    .option('--task <script>', 'replicate: a script that runs in the stream, behind all that COMMAND has written; it and its directory writable for you alone')
    .option('--freeze', 'replicate: freeze the file system of SRC (its mount point) for the drain, and thaw it when all is in DST')
    .option('--json', 'print one JSON object')
}

/** @throws {AppError} REQUEST_INVALID, RULE_INVALID */
export function transferOf(source: string, target: string, flags: TransferFlags): TransferOptions {
  const { compare, orphans, orphansFolder, orphansOlderThan, orphansPreview, removeOutside, volumeId, mark, capture, watches, task: script, freeze } = flags
  if (mark === true && volumeId === undefined) throw new AppError('REQUEST_INVALID', '--mark needs --volume-id')
  if ((orphans === 'move') !== (orphansFolder !== undefined)) throw new AppError('REQUEST_INVALID', '--orphans move needs --orphans-folder, and the other way round')
  const rules = rulesOf(flags)
  checkRules(rules)
  const request: MirrorRequest = {
    compare, orphans,
    ...(orphansOlderThan === undefined ? {} : { orphansOlderThanMs: parsePeriodMs(orphansOlderThan, '--orphans-older-than') }),
    ...(orphansPreview === undefined ? {} : { orphansPreview }), ...(removeOutside === undefined ? {} : { removeOutside }),
  }
  if (watches !== undefined && !(Number.isInteger(watches) && watches > 0)) throw new AppError('REQUEST_INVALID', '--watches needs a whole number above 0')
  return { source, target, transmissions: transmissionsOf(flags), request, rules, orphansFolder, volumeId, mark, capture, watches, script, freeze }
}

/** @throws {AppError} REQUEST_INVALID */
function transmissionsOf({ bandwidth, compression, ignoreDeletes }: TransferFlags): Task['transmissions'] {
  const always = { compression, ...(ignoreDeletes === true ? { ignoreDeletes } : {}) }
  const timed = bandwidth.map(text => {
    const [, period, rate = ''] = /^(?:(\w+):)?(.*)$/.exec(text) ?? []
    const bandwidthBytesPerS = parseBandwidth(rate, '--bandwidth')
    return { afterMs: period === undefined ? 0 : parsePeriodMs(period, '--bandwidth'), how: { ...always, ...(bandwidthBytesPerS === undefined ? {} : { bandwidthBytesPerS }) } }
  })
  return timed.some(({ afterMs }) => afterMs === 0) ? timed : [{ afterMs: 0, how: always }, ...timed]
}

function rulesOf({ include, exclude, includeFlat, excludeFlat }: TransferFlags): Rule[] {
  const all = (kind: Rule['kind'], patterns: readonly string[], recursive: boolean): Rule[] => patterns.map(pattern => ({ kind, pattern, recursive }))
  return [...all('include', include, true), ...all('exclude', exclude, true), ...all('include', includeFlat, false), ...all('exclude', excludeFlat, false)]
}

/** @throws {AppError} REQUEST_INVALID */
export function verificationOf({ verify, repair, report }: VerifyFlags): VerifyOptions['verify'] | undefined {
  if (verify === undefined) {
    if (repair === true || report !== undefined) throw new AppError('REQUEST_INVALID', '--repair and --report need --verify')
    return undefined
  }
  if (report === undefined) throw new AppError('REQUEST_INVALID', '--verify needs --report FILE')
  return { by: verify, repair: repair === true, reportFile: report }
}
