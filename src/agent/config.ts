/** How the agent is set up: one JSON file, all of it optional. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { DiskQueue } from '../capture/disk-queue.ts'
import { AppError } from '../errors/app-error.ts'

const port = z.number().int().min(1).max(65535)

/** The changes that wait: in memory, and, where a folder is set and fanotify is used, on disk when that is full. */
const Queue = z.strictObject({
  memoryMiB: z.number().int().min(32).max(1_048_576).default(128),
  /** on a file system that no job carries; a directory of root's, writable for root alone */
  folder: z.string().startsWith('/').optional(),
  /** what the queue may take there; default: unlimited */
  maximumMiB: z.union([z.number().int().min(1).max(1_073_741_824), z.literal('unlimited')]).optional(),
  /** what stays free on the file system of the folder; default: 50 */
  minimumFreeMiB: z.number().int().min(0).max(1_073_741_824).optional(),
}).superRefine(({ memoryMiB, folder, maximumMiB, minimumFreeMiB }, context) => {
  const refuse = (path: string, message: string): void => { context.addIssue({ code: 'custom', path: [path], message }) }
  if (folder === undefined && maximumMiB !== undefined) refuse('maximumMiB', 'there is no folder to which it applies: set "folder", or leave it out')
  if (folder === undefined && minimumFreeMiB !== undefined) refuse('minimumFreeMiB', 'there is no folder to which it applies: set "folder", or leave it out')
  if (typeof maximumMiB === 'number' && maximumMiB < memoryMiB) refuse('maximumMiB', `the disk must be allowed to hold at least what memory holds, ${String(memoryMiB)} MiB`)
})

export const AgentConfig = z.strictObject({
  /** where the appliance is dialled; default: where it was when the agent enrolled */
  applianceHost: z.string().min(1).max(253).optional(),
  /** default: the port that the appliance named when the agent enrolled */
  replicationPort: port.optional(),
  /** keys and certificates; mode 0700 */
  stateDirectory: z.string().min(1).default('/var/lib/landfall-agent'),
  /** the directory that is the source's root; the appliance's paths are looked up below it */
  root: z.string().startsWith('/').default('/'),
  /** name of the network namespace that holds the source's adapters; default: the agent's own */
  networkNamespace: z.string().min(1).optional(),
  /** what switching the source off means: the machine goes off, or (lab) it stays frozen until it is thawed or the agent ends */
  powerOff: z.enum(['system', 'none']).default('system'),
  /**
   * auto: fanotify, or where the kernel or the rights do not allow it, inotify; fanotify, inotify: this one or a refusal; none: changes are not captured (to mirror from
   * a file system that does not allow it), and every job needs a quiet source
   */
  capture: z.enum(['auto', 'fanotify', 'inotify', 'none']).default('auto'),
  /** inotify: directories that are watched at most (about 1 KiB of the kernel's memory each), and how often all is compared while some are not */
  watches: z.number().int().min(1).max(10_000_000).default(100_000),
  rescanSeconds: z.number().int().min(10).max(86_400).default(300),
  queue: Queue.prefault({}),
  /** where the administrator of the source puts scripts that a job may run before the freeze; only root may write there */
  scriptsDirectory: z.string().startsWith('/').default('/etc/landfall/scripts'),
  /** a program that does what the agent wants of systemctl: "is-active -- UNIT", "stop -- UNIT", "start -- UNIT", "poweroff"; for a source without systemd */
  systemctl: z.templateLiteral(['/', z.string()]).optional(),
  /** how far the agent stands back (nice, 0 to 19) behind the work of the source; 0: not at all */
  maxNice: z.number().int().min(0).max(19).default(15),
  /** the oldest change that is not safe on the replica may wait for so long before the agent comes forward, step by step */
  maxBehindSeconds: z.number().int().min(1).max(86_400).default(10),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).optional(),
}).superRefine(({ capture, queue }, context) => {
  if (queue.folder !== undefined && (capture === 'inotify' || capture === 'none')) context.addIssue({ code: 'custom', path: ['queue', 'folder'], message: `capture is "${capture}", which keeps nothing on disk: leave the folder out, or capture by "auto" or "fanotify"` })
})
export type AgentConfig = z.infer<typeof AgentConfig>

const DEFAULT_MINIMUM_FREE_MIB = 50
const MIB = 1024 * 1024

/** In bytes, as the capture takes it. Pure. */
export function queueLimits({ memoryMiB, folder, maximumMiB, minimumFreeMiB = DEFAULT_MINIMUM_FREE_MIB }: AgentConfig['queue']): { limitBytes: number, disk?: DiskQueue } {
  const limitBytes = memoryMiB * MIB
  if (folder === undefined) return { limitBytes }
  return { limitBytes, disk: { folder, minimumFreeBytes: minimumFreeMiB * MIB, ...typeof maximumMiB === 'number' ? { maximumBytes: maximumMiB * MIB } : {} } }
}

export const DEFAULT_CONFIG_FILE = '/etc/landfall/agent.json'

/**
 * @param path undefined: the default file when it is there, else the defaults
 * @throws {AppError} CONFIG_INVALID naming the file and each wrong place
 */
export async function readAgentConfig(path: string | undefined): Promise<AgentConfig> {
  const file = path ?? DEFAULT_CONFIG_FILE
  let text = '{}'
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (path !== undefined || !missing) throw new AppError('CONFIG_INVALID', `cannot read the configuration ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return parseAgentConfig(text, file)
}

/** @throws {AppError} CONFIG_INVALID */
export function parseAgentConfig(text: string, file: string): AgentConfig {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the configuration ${file} is no JSON`, { cause: error })
  }
  const config = AgentConfig.safeParse(json)
  if (config.success) return config.data
  const places = config.error.issues.map(issue => `${issue.path.join('.') || 'file'}: ${issue.message}`).join('; ')
  throw new AppError('CONFIG_INVALID', `the configuration ${file} cannot be used: ${places}`, { cause: config.error })
}
