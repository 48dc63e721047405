/**
 * A whole lab on this machine: vcsim behind its front, the follower that plays the host, the appliance as a process, a source and its agent.
 * Dispose of it, and nothing is left: no process, mount, loop device, namespace or file.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { EnrolmentOffer } from '../../src/domain/server.ts'
import { createAgent, type LabAgent } from './lab-agent.ts'
import { createAppliance, type LabAppliance } from './lab-appliance.ts'
import { createCli, type LabCli } from './lab-cli.ts'
import { makeCertificate } from './certificate.ts'
import { startFollower, type Follower } from './follower.ts'
import { startFront, type Front } from './front.ts'
import type { Table } from './image/image.ts'
import { createLoopDiskPlug } from './loop-disk-plug.ts'
import { prepareQuiesce, type Quiescing } from './quiesce.ts'
import { createRunDirectory, sweep, sweepStaleRuns, type RunDirectory } from './run-directory.ts'
import { startSource, type SourceMachine } from './source.ts'
import { startVcsim, USER, type LabDatastore, type Vcsim } from './vcsim.ts'

export interface LabOptions {
  table?: Table
  /** the first is the one that jobs use by default */
  datastores?: readonly LabDatastore[]
  /** seed of the writer */
  seed?: number
  writesPerSecond?: number
  /** leave the run's folder with its logs and disks behind */
  keepFiles?: boolean
  say?: (line: string) => void
}

export interface Lab extends AsyncDisposable {
  readonly run: RunDirectory
  readonly vcsim: Vcsim
  readonly front: Front
  readonly follower: Follower
  readonly source: SourceMachine
  /** what the source does before the freeze */
  readonly quiesce: Quiescing
  readonly appliance: LabAppliance
  readonly cli: LabCli
  /** a command line with another environment */
  cliWith(env: Readonly<Record<string, string>>): LabCli
  readonly user: string
  readonly password: string
  readonly datastore: string
  readonly network: string
  /** for test cutovers */
  readonly isolatedNetwork: string
  readonly seed: number
  readonly writesPerSecond: number
  /** the agent of the source, once `startAgent` was called */
  readonly agent: LabAgent
  /** Enrols an agent with the offer and starts it. */
  startAgent(offer: EnrolmentOffer, say?: (line: string) => void): Promise<LabAgent>
  /** the ends of the logs of appliance and agent, for messages */
  logTails(): Promise<string>
}

const TAIL = 2500

export async function createLab(o: LabOptions, signal: AbortSignal): Promise<Lab> {
  const say = o.say ?? ((): void => undefined)
  const stale = await sweepStaleRuns()
  if (stale.length > 0) say(`cleaned up what ${String(stale.length)} earlier run${stale.length === 1 ? '' : 's'} left behind`)
  const run = await createRunDirectory()
  const stack = new AsyncDisposableStack()
  // whatever the parts could not undo in order
  stack.defer(async () => { await sweep(run, { keepFiles: o.keepFiles === true }) })
  try {
    const datastores = o.datastores ?? [{ name: 'datastore1', capacityGib: 64 }]
    const password = randomBytes(12).toString('base64url')
    const certificate = await makeCertificate(run.path, 'front')
    const [network, isolatedNetwork] = ['Servers', 'Isolated']
    const vcsim = await startVcsim(run, certificate, password, datastores, [network, isolatedNetwork])
    const plug = await createLoopDiskPlug(run)
    const follower = stack.use(await startFollower(run, vcsim, plug))
    const datastore = datastores[0]?.name ?? ''
    const front = stack.use(await startFront({ vcsim, follower, certificate, datacenter: await vcsim.datacenterId(), datastore }))
    say(`vCenter (vcsim) at 127.0.0.1:${String(front.port)}`)
    signal.throwIfAborted()
    const source = await startSource(run, o.table ?? 'gpt', say, signal)
    const quiesce = await prepareQuiesce(run, source.root)
    const appliance = stack.use(await createAppliance(run, plug.devices))
    say(`appliance at ${appliance.url}`)
    let agent: LabAgent | undefined
    const cli = createCli(run, { LANDFALL_URL: appliance.url, LANDFALL_CA: appliance.caFile, LANDFALL_TOKEN: appliance.token, LANDFALL_VMWARE_PASSWORD: password })
    return {
      run, vcsim, front, follower, source, quiesce, appliance, cli, user: USER, password, datastore, network, isolatedNetwork, seed: o.seed ?? 1, writesPerSecond: o.writesPerSecond ?? 40,
      cliWith: env => createCli(run, { ...cli.env, ...env }),
      get agent() {
        if (agent === undefined) throw new Error('the lab has no agent yet')
        return agent
      },
      startAgent: async (offer, tell) => {
        agent = stack.use(await createAgent(run, source, appliance, quiesce, offer, tell))
        return agent
      },
      logTails: async () => (await Promise.all(['appliance', 'agent'].map(async name => `\n--- end of ${name}.log\n${(await readFile(`${run.path}/${name}.log`, 'utf8').catch(() => '')).slice(-TAIL)}`))).join(''),
      [Symbol.asyncDispose]: async () => {
        await stack.disposeAsync()
        if (o.keepFiles === true) say(`logs and disks of this run are kept in ${run.path}`)
      },
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}
