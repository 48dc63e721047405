/** How the appliance is set up: a JSON file, and environment variables that win over it. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

const port = z.number().int().min(0).max(65535)

export const ApplianceConfig = z.strictObject({
  /** databases, keys, mount points; mode 0700 */
  stateDirectory: z.string().min(1).default('/var/lib/landfall'),
  apiAddress: z.string().min(1).default('::'),
  /** 0: any free port, written to endpoint.json in the state directory */
  apiPort: port.default(6325),
  replicationAddress: z.string().min(1).default('::'),
  replicationPort: port.default(1500),
  /** name (or id) of the VM in which this appliance runs */
  applianceVm: z.string().min(1).default('landfall-appliance'),
  /** names and addresses at which clients and agents reach the appliance, the first one is shown to people; its own are known without */
  publicNames: z.array(z.string().min(1).max(253)).max(32).default([]),
  /** scripts that users may put into the stream of a job; only its administrator may write to it */
  tasksDirectory: z.string().startsWith('/').default('/etc/landfall/tasks'),
  /** lab only: directory with a link <32 hex digits> -> device for each attached disk */
  devicesBySerial: z.string().min(1).optional(),
  /** longest wait for the first sign of life of a replica */
  bootTimeoutMs: z.number().int().min(10_000).max(86_400_000).default(900_000),
  /** a source thaws by itself when the appliance is silent for so long */
  holdMs: z.number().int().min(5000).max(600_000).default(60_000),
  /** a frozen source waits so long for the check of its replica's file systems; what takes longer is not checked, which is told */
  checkMs: z.number().int().min(0).max(86_400_000).default(60_000),
})
export type ApplianceConfig = z.infer<typeof ApplianceConfig>

type Environment = Readonly<Record<string, string | undefined>>

const text = (value: string): unknown => value
const number = (value: string): unknown => (/^\d+$/.test(value) ? Number(value) : value)
const list = (value: string): unknown => value.split(',').map(item => item.trim()).filter(item => item !== '')

/** The variables that are read, and how. */
const VARIABLES: Readonly<Record<string, { key: keyof ApplianceConfig, read: (value: string) => unknown }>> = {
  LANDFALL_STATE_DIRECTORY: { key: 'stateDirectory', read: text },
  LANDFALL_API_ADDRESS: { key: 'apiAddress', read: text },
  LANDFALL_API_PORT: { key: 'apiPort', read: number },
  LANDFALL_REPLICATION_ADDRESS: { key: 'replicationAddress', read: text },
  LANDFALL_REPLICATION_PORT: { key: 'replicationPort', read: number },
  LANDFALL_APPLIANCE_VM: { key: 'applianceVm', read: text },
  LANDFALL_PUBLIC_NAMES: { key: 'publicNames', read: list },
  LANDFALL_TASKS_DIRECTORY: { key: 'tasksDirectory', read: text },
  LANDFALL_DEVICES_BY_SERIAL: { key: 'devicesBySerial', read: text },
  LANDFALL_BOOT_TIMEOUT_MS: { key: 'bootTimeoutMs', read: number },
  LANDFALL_HOLD_MS: { key: 'holdMs', read: number },
  LANDFALL_CHECK_MS: { key: 'checkMs', read: number },
}

/**
 * @param path of the JSON file; undefined: environment and defaults only
 * @throws {AppError} CONFIG_INVALID naming each wrong place
 */
export async function readConfig(path: string | undefined, environment: Environment): Promise<ApplianceConfig> {
  const fromFile = path === undefined ? {} : await readJson(path)
  const fromEnvironment = Object.entries(VARIABLES).flatMap(([name, { key, read }]) => {
    const value = environment[name]
    return value === undefined || value === '' ? [] : [[key, read(value)]]
  })
  const result = ApplianceConfig.safeParse({ ...fromFile, ...Object.fromEntries(fromEnvironment) as object })
  if (result.success) return result.data
  const issues = result.error.issues.map(issue => `${issue.path.join('.')}${issue.path.length === 0 ? '' : ': '}${issue.message}`)
  throw new AppError('CONFIG_INVALID', `the configuration${path === undefined ? '' : ` in ${path}`} is not valid: ${issues.join('; ')}`)
}

async function readJson(path: string): Promise<object> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `cannot read the configuration ${path}: ${error instanceof z.ZodError ? 'it is no JSON object' : String(error)}`, { cause: error })
  }
}
