/** The appliance service as a process of the lab. It keeps its ports over a restart, as a real one does. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { startProcess, type LabProcess } from './lab-process.ts'
import { APPLIANCE, NODE } from './paths.ts'
import { waitUntil } from './process-identity.ts'
import type { RunDirectory } from './run-directory.ts'
import { APPLIANCE_VM } from './vcsim.ts'

export interface LabAppliance extends AsyncDisposable {
  /** where its administrator puts scripts */
  readonly tasksDirectory: string
  readonly url: string
  readonly replicationPort: number
  readonly caFile: string
  /** the administrator's */
  readonly token: string
  start(): Promise<void>
  /** in good order */
  stop(): Promise<void>
  /** kill -9 */
  kill(): Promise<void>
}

const Endpoint = z.object({ apiPort: z.number(), replicationPort: z.number() })

const START_TIMEOUT_MS = 30_000
const BOOT_TIMEOUT_MS = 300_000
const HOLD_MS = 60_000

export async function createAppliance(run: RunDirectory, devices: string): Promise<LabAppliance> {
  const stateDirectory = join(run.path, 'appliance')
  const configFile = join(run.path, 'appliance.json')
  const endpointFile = join(stateDirectory, 'endpoint.json')
  const tasksDirectory = join(run.path, 'tasks')
  for (const directory of [stateDirectory, tasksDirectory]) await mkdir(directory, { mode: 0o700 })
  let child: LabProcess | undefined
  let ports: z.infer<typeof Endpoint> = { apiPort: 0, replicationPort: 0 }

  async function start(): Promise<void> {
    if (child?.isRunning() === true) return
    await writeFile(configFile, JSON.stringify({
      stateDirectory, apiAddress: '127.0.0.1', replicationAddress: '127.0.0.1', ...ports, publicNames: ['127.0.0.1'],
      applianceVm: APPLIANCE_VM, devicesBySerial: devices, bootTimeoutMs: BOOT_TIMEOUT_MS, holdMs: HOLD_MS, tasksDirectory,
    }))
    const started = await startProcess(run, 'appliance', NODE, [APPLIANCE, 'run', '--config', configFile])
    child = started
    ports = await waitUntil('the appliance to listen', START_TIMEOUT_MS, async () => {
      if (!started.isRunning()) throw new Error(`the appliance ended: ${(await readFile(started.logFile, 'utf8')).slice(-3000)}`)
      const text = await readFile(endpointFile, 'utf8').catch(() => '')
      const parsed = text === '' ? undefined : Endpoint.safeParse(JSON.parse(text)).data
      return parsed !== undefined && await answers(parsed.apiPort) ? parsed : undefined
    })
  }

  await start()
  return {
    tasksDirectory,
    get url() { return `https://127.0.0.1:${String(ports.apiPort)}` },
    get replicationPort() { return ports.replicationPort },
    caFile: join(stateDirectory, 'ca', 'ca.crt'),
    token: (await readFile(join(stateDirectory, 'admin.token'), 'utf8')).trim(),
    start,
    stop: async () => { await child?.stop() },
    kill: async () => { await child?.kill() },
    [Symbol.asyncDispose]: async () => { await child?.stop() },
  }
}

/** the file alone may be an old one; a connection from the port to itself is no answer */
async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { resolve(socket.localPort !== port); socket.destroy() })
    socket.on('error', () => { resolve(false) })
  })
}
