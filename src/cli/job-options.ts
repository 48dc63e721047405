/** The flags of `job create` as the API's CreateJob. */
import { z } from 'zod'
import { CreateJob, type EditJob, type JobOptions } from '../domain/job.ts'
import { parsePeriodMs } from '../domain/period.ts'
import { checkRules, type Rule } from '../domain/rule.ts'
import { AppError } from '../errors/app-error.ts'
import { LayoutFlags, layoutOf } from './layout-flags.ts'
import { SendingFlags, sendingOf } from './sending-options.ts'
import { withAddresses } from './network-options.ts'
import { readNamed } from './settings.ts'

export const CreateFlags = SendingFlags.omit({ transmitAlways: true }).extend({
  ...LayoutFlags.shape,
  source: z.string(), vmware: z.string(), datastore: z.string(), vmName: z.string().optional(),
  network: z.array(z.string()).default([]), discardNic: z.array(z.string()).default([]),
  address: z.array(z.string()).default([]), gateway: z.array(z.string()).default([]), dns: z.array(z.string()).default([]), volume: z.array(z.string()).default([]),
  diskFormat: z.string().optional(), compare: z.string().optional(), orphans: z.string().optional(),
  include: z.array(z.string()).default([]), exclude: z.array(z.string()).default([]), includeFlat: z.array(z.string()).default([]), excludeFlat: z.array(z.string()).default([]),
  orphansOlderThan: z.string().optional(), removeOutside: z.boolean().optional(),
  cpu: z.string().optional(), memory: z.string().optional(),
  postFailover: z.string().optional(), postFailoverArg: z.array(z.string()).default([]), postFailoverTimeout: z.string().default('600'),
  preScript: z.array(z.object({ name: z.string(), arguments: z.array(z.string()) })).default([]), preScriptTimeout: z.string().default('300'), stopService: z.array(z.string()).default([]),
  autoCutover: z.boolean().default(false), shutdown: z.boolean().default(true),
})
export type CreateFlags = z.infer<typeof CreateFlags>

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i

/** @throws {AppError} REQUEST_INVALID, RULE_INVALID; ZodError for values that the API would refuse */
export async function createRequest(name: string, flags: CreateFlags): Promise<CreateJob> {
  const options: z.input<typeof JobOptions> = {
    volumes: flags.volume, datastore: flags.datastore, vmName: flags.vmName ?? name,
    ...withAddresses(networks(flags.network, flags.discardNic), flags), ...processors(flags.cpu),
    ...(flags.memory === undefined ? {} : { memoryMiB: memoryMiB(flags.memory) }),
    ...layoutOf(flags), ...selection(flags), ...withoutNull(sendingOf(flags)),
    ...(flags.preScript.length + flags.stopService.length === 0 ? {} : {
      quiesce: { scripts: flags.preScript.map(script => ({ ...script, timeoutMs: Number(flags.preScriptTimeout) * 1000 })), services: flags.stopService },
    }),
    cutover: flags.autoCutover ? 'automatic' : 'manual', shutDownSource: flags.shutdown,
    ...(flags.postFailover === undefined ? {} : {
      postFailover: { content: await readNamed(flags.postFailover), arguments: flags.postFailoverArg, timeoutMs: Number(flags.postFailoverTimeout) * 1000 },
    }),
  }
  if (flags.postFailover === undefined && flags.postFailoverArg.length > 0) {
    throw new AppError('REQUEST_INVALID', `--post-failover-arg needs --post-failover SCRIPT`)
  }
  // choices are checked by the schema, which names the allowed ones
  const chosen = { diskFormat: flags.diskFormat, compare: flags.compare, orphans: flags.orphans }
  return CreateJob.parse({ name, source: flags.source, vmware: flags.vmware, options: { ...options, ...Object.fromEntries(Object.entries(chosen).filter(([, v]) => v !== undefined)) } })
}

/** Of a new job nothing can be taken away. */
function withoutNull({ bandwidthBytesPerS, transmitSchedule, ...rest }: EditJob): Partial<z.input<typeof JobOptions>> {
  return { ...rest, ...(bandwidthBytesPerS == null ? {} : { bandwidthBytesPerS }), ...(transmitSchedule == null ? {} : { transmitSchedule }) }
}

/** What of the source belongs to the replica, and what becomes of the rest. */
function selection({ include, exclude, includeFlat, excludeFlat, orphansOlderThan, removeOutside }: CreateFlags): Pick<z.input<typeof JobOptions>, 'rules' | 'orphansOlderThanMs' | 'removeOutside'> {
  const all = (kind: Rule['kind'], patterns: readonly string[], recursive: boolean): Rule[] => patterns.map(pattern => ({ kind, pattern, recursive }))
  const rules = [...all('include', include, true), ...all('exclude', exclude, true), ...all('include', includeFlat, false), ...all('exclude', excludeFlat, false)]
  checkRules(rules)
  return {
    ...(rules.length === 0 ? {} : { rules }), ...(removeOutside === undefined ? {} : { removeOutside }),
    ...(orphansOlderThan === undefined ? {} : { orphansOlderThanMs: parsePeriodMs(orphansOlderThan, '--orphans-older-than') }),
  }
}

/** "NAME" is for every adapter, "MAC=NAME" for one. Names of networks may hold an equals sign. */
export function networks(given: readonly string[], discarded: readonly string[]): Pick<JobOptions, 'networks' | 'defaultNetwork'> {
  const mapped: JobOptions['networks'] = []
  let defaultNetwork: string | undefined
  for (const value of given) {
    const mac = value.slice(0, 17)
    if (MAC.test(mac) && value[17] === '=' && value.length > 18) mapped.push({ sourceMac: mac.toLowerCase(), network: value.slice(18) })
    else if (defaultNetwork !== undefined) throw new AppError('REQUEST_INVALID', `--network names two networks for all adapters, "${defaultNetwork}" and "${value}"; say MAC=NAME for single ones`)
    else defaultNetwork = value
  }
  for (const mac of discarded) {
    if (!MAC.test(mac)) throw new AppError('REQUEST_INVALID', `--discard-nic needs a MAC address like 52:54:00:12:34:56, not "${mac}"`)
    mapped.push({ sourceMac: mac.toLowerCase(), network: null })
  }
  const twice = mapped.find((m, i) => mapped.findIndex(other => other.sourceMac === m.sourceMac) !== i)
  if (twice !== undefined) throw new AppError('REQUEST_INVALID', `the adapter ${twice.sourceMac} is mapped twice`)
  return { networks: mapped, ...(defaultNetwork === undefined ? {} : { defaultNetwork }) }
}

/** "2x4" is two sockets of four cores, "4" one socket of four cores. */
export function processors(cpu: string | undefined): Pick<JobOptions, 'sockets' | 'coresPerSocket'> {
  if (cpu === undefined) return {}
  const match = /^(?:(\d{1,3})x)?(\d{1,3})$/.exec(cpu)
  if (match?.[2] === undefined) throw new AppError('REQUEST_INVALID', `--cpu needs CORES or SOCKETSxCORES like 2x4, not "${cpu}"`)
  return { sockets: Number(match[1] ?? 1), coresPerSocket: Number(match[2]) }
}

/** MiB without a unit; GiB and MiB by their letter. */
export function memoryMiB(memory: string): number {
  const match = /^(\d{1,7})\s*(?:(M|G)(?:iB|B)?)?$/i.exec(memory.trim())
  if (match?.[1] === undefined) throw new AppError('REQUEST_INVALID', `--memory needs a size like 4096, 4096M or 4G, not "${memory}"`)
  return Number(match[1]) * (match[2]?.toUpperCase() === 'G' ? 1024 : 1)
}
