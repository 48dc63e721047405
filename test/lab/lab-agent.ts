/** The source's agent as a process of the lab: enrolled with a one-time token, then running; it may be killed and started again. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EnrolmentOffer } from '../../src/domain/server.ts'
import type { LabAppliance } from './lab-appliance.ts'
import { startProcess, type LabProcess } from './lab-process.ts'
import { AGENT, NODE } from './paths.ts'
import type { Quiescing } from './quiesce.ts'
import { RUN_VARIABLE, type RunDirectory } from './run-directory.ts'
import type { SourceMachine } from './source.ts'
import { tool } from './tool.ts'

export interface LabAgent extends AsyncDisposable {
  /** Starts it when it does not run; resolves when the appliance has taken the connection. */
  start(): Promise<void>
  /** in good order */
  stop(): Promise<void>
  /** kill -9 */
  kill(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 60_000

export async function createAgent(run: RunDirectory, source: Pick<SourceMachine, 'root' | 'networkNamespace'>, appliance: Pick<LabAppliance, 'url'>, quiesce: Pick<Quiescing, 'agentConfig'>, offer: EnrolmentOffer, say?: (line: string) => void): Promise<LabAgent> {
  const stateDirectory = join(run.path, 'agent')
  const configFile = join(run.path, 'agent.json')
  await mkdir(stateDirectory, { mode: 0o700 })
  // a source that is switched off stays frozen: this machine must not go off, and the comparison needs the last state
  await writeFile(configFile, JSON.stringify({ stateDirectory, root: source.root, networkNamespace: source.networkNamespace, powerOff: 'none', ...quiesce.agentConfig }))
  const { stdout } = await tool(NODE, [AGENT, 'enrol', '--appliance', new URL(appliance.url).host, '--ca-sha256', offer.caSha256, '--config', configFile], { env: { LANDFALL_TOKEN: offer.token, [RUN_VARIABLE]: run.id } })
  say?.(`on the source: landfall-agent enrol: ${stdout.trim()}`)
  let child: LabProcess | undefined
  let starts = 0
  async function start(): Promise<void> {
    if (child?.isRunning() === true) return
    child = await startProcess(run, 'agent', NODE, [AGENT, 'run', '--config', configFile])
    starts += 1
    // the log has the starts before this one, too
    await child.waitForLog(new RegExp(`(?:connected to the appliance[\\s\\S]*){${String(starts)}}`), CONNECT_TIMEOUT_MS)
  }
  await start()
  return {
    start, stop: async () => { await child?.stop() }, kill: async () => { await child?.kill() },
    [Symbol.asyncDispose]: async () => { await child?.stop() },
  }
}
