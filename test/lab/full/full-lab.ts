/**
 * The full lab: source servers, the appliance and the replicas are guests; vcsim behind its front stays on this machine and plays the host (follower.ts).
 * Dispose of it, and nothing is left.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from '../certificate.ts'
import { startFollower, type Follower } from '../follower.ts'
import { startFront, type Front } from '../front.ts'
import type { GuestSourceLayout } from '../image/guest-image.ts'
import { createCli, type LabCli } from '../lab-cli.ts'
import { createRunDirectory, sweep, sweepStaleRuns, type RunDirectory } from '../run-directory.ts'
import { startVcsim, USER, type Vcsim } from '../vcsim.ts'
import { lineTo, startApplianceGuest, type ApplianceGuest } from './appliance-guest.ts'
import { createGuestDiskPlug } from './guest-disk-plug.ts'
import { buildProduct, dropProduct } from './product.ts'
import { startSourceGuest, type SourceGuest } from './source-guest.ts'

export interface FullLab extends AsyncDisposable {
  readonly run: RunDirectory
  readonly vcsim: Vcsim
  readonly front: Front
  readonly follower: Follower
  readonly appliance: ApplianceGuest
  readonly sources: readonly SourceGuest[]
  readonly cli: LabCli
  readonly user: string
  readonly datastore: string
  readonly network: string
  /** the ends of the logs of appliance and agents, for messages */
  logTails(): Promise<string>
}

export interface FullLabOptions {
  sources: readonly GuestSourceLayout[]
  keepFiles?: boolean
  say?: (line: string) => void
}

const DATASTORE = 'datastore1'
const NETWORK = 'Servers'
const CAPACITY_GIB = 64

/** The VM that a source becomes. */
export const replicaOf = ({ hostName }: GuestSourceLayout): string => `${hostName}-replica`

const networkOf = ({ address }: GuestSourceLayout): string => address.slice(0, address.lastIndexOf('.'))

export async function createFullLab(o: FullLabOptions, signal: AbortSignal): Promise<FullLab> {
  const say = o.say ?? ((): void => undefined)
  const stale = await sweepStaleRuns()
  if (stale.length > 0) say(`cleaned up what ${String(stale.length)} earlier run${stale.length === 1 ? '' : 's'} left behind`)
  const run = await createRunDirectory()
  const stack = new AsyncDisposableStack()
  // whatever the parts could not undo in order
  stack.defer(async () => { await sweep(run, { keepFiles: o.keepFiles === true }) })
  try {
    const password = randomBytes(12).toString('base64url')
    const built = await buildProduct(run, signal)
    const lines = o.sources.map(source => lineTo(run, source.hostName, networkOf(source)))
    const starting = await startApplianceGuest(run, built, lines, say, signal)
    stack.use(starting.guest)
    const sources: SourceGuest[] = []
    for (const [i, source] of o.sources.entries()) {
      const line = lines[i]
      if (line !== undefined) sources.push(stack.use(await startSourceGuest(run, built, source, line, say, signal)))
    }
    await dropProduct(built)
    say(`${String(sources.length + 1)} guests are starting`)
    const certificate = await makeCertificate(run.path, 'front')
    const vcsim = await startVcsim(run, certificate, password, [{ name: DATASTORE, capacityGib: CAPACITY_GIB }], [NETWORK])
    const follower = stack.use(await startFollower(run, vcsim, createGuestDiskPlug(starting.guest), {
      restarts: true,
      networkOf: (vmName) => { const source = o.sources.find(s => replicaOf(s) === vmName); return source === undefined ? undefined : networkOf(source) },
    }))
    const front = stack.use(await startFront({ vcsim, follower, certificate, datacenter: await vcsim.datacenterId(), datastore: DATASTORE }))
    const [appliance] = await Promise.all([starting.ready(), ...sources.map(async source => { await source.ready() })])
    say(`appliance at ${appliance.url}`)
    signal.throwIfAborted()
    const cli = createCli(run, { LANDFALL_URL: appliance.url, LANDFALL_CA: appliance.caFile, LANDFALL_TOKEN: appliance.token, LANDFALL_VMWARE_PASSWORD: password })
    return {
      run, vcsim, front, follower, appliance, sources, cli, user: USER, datastore: DATASTORE, network: NETWORK,
      logTails: async () => {
        const logs = await Promise.all([appliance.log(), ...sources.map(async source => await source.agentLog()), ...sources.map(async ({ o: { hostName } }) => (await readFile(join(run.path, `${hostName}.console`), 'utf8')).slice(-1000))].map(async log => await log.catch(String)))
        return logs.map(log => `\n---\n${log}`).join('')
      },
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
