/**
 * The appliance, put together: the only place that names its real parts. `createAppliance` answers when both ports listen and every job goes on; disposing
 * of it ends the jobs' steps in good order and lets everything go. Tests put other parts in by `overrides`.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { enrolmentEndpoints } from '../api/enrolments.ts'
import { healthEndpoints } from '../api/health.ts'
import { jobEndpoints } from '../api/jobs.ts'
import { ApiServer } from '../api/server.ts'
import { sourceEndpoints } from '../api/sources.ts'
import { targetEndpoints } from '../api/targets.ts'
import { systemClock, type Clock } from '../clock/clock.ts'
import { ExecaRunner, ExecaScriptRunner } from '../command/execa-runner.ts'
import type { Runner } from '../command/runner.ts'
import { lockFile } from '../database/database.ts'
import { VERSION } from '../domain/version.ts'
import { AppError } from '../errors/app-error.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { normalThumbprint, probeCertificate } from '../hypervisor/vsphere-certificate.ts'
import { openVsphereHypervisor, type VsphereTarget } from '../hypervisor/vsphere-hypervisor.ts'
import { JobEngine } from '../job/job-engine.ts'
import { SqliteJobStore } from '../job/sqlite-job-store.ts'
import { DEFAULT_TIMES, type ReplicaWork, type Seams } from '../job/step.ts'
import { jobSteps } from '../job/steps.ts'
import { apiLog, applianceLog, jobLog, linkLog } from '../logging/logger.ts'
import { openLinkIdentity } from '../posix/linking.ts'
import { SecretBox } from '../server/secret-box.ts'
import { SqliteServerStore } from '../server/sqlite-server-store.ts'
import { SourceRegistry } from '../source/connected-sources.ts'
import { openSourceListener } from '../source/source-listener.ts'
import type { SourceServer } from '../source/source-server.ts'
import { LinuxVolumeStack } from '../storage/linux-volume-stack.ts'
import type { VolumeStack } from '../storage/volume-stack.ts'
import { openReplicaVolume } from '../tree/posix-target-tree.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import { openCertificateAuthority } from '../trust/certificate-authority.ts'
import { acceptTlsLink } from '../wire/tls-link.ts'
import type { ApplianceConfig } from './config.ts'
import { ADMIN_TOKEN_FILE, ensureFirstToken } from './first-token.ts'
import { serverNames, shownName } from './names.ts'
import { probeVmware, type ProbeParts } from './probe-vmware.ts'
import { replicaWork } from './replica-work.ts'
import { SharedHypervisors } from './shared-hypervisors.ts'

export interface ApplianceOverrides {
  clock?: Clock
  runner?: Runner
  volumes?: VolumeStack
  replica?: ReplicaWork
  openTarget?: Seams['openTarget']
  /** instead of a login to vSphere */
  openHypervisor?: (target: VsphereTarget, signal: AbortSignal) => Promise<Hypervisor>
  showCertificate?: ProbeParts['showCertificate']
  bootId?: string
}

export interface Appliance extends AsyncDisposable {
  readonly apiPort: number
  readonly replicationPort: number
  /** PEM: what clients must trust */
  readonly caFile: string
  readonly adminTokenFile: string
}

/** Where a running appliance is found, for scripts on the same machine. */
const ENDPOINT_FILE = 'endpoint.json'
const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id'

/** @throws {AppError} STATE_IN_USE, STORE_INVALID, PORT_UNAVAILABLE */
export async function createAppliance(config: ApplianceConfig, overrides: ApplianceOverrides = {}): Promise<Appliance> {
  const clock = overrides.clock ?? systemClock
  const startedAtUtc = new Date(clock.now()).toISOString()
  const state = config.stateDirectory
  await using parts = new AsyncDisposableStack()
  await makeStateDirectory(state)
  parts.use(lockFile(join(state, 'lock')))
  const servers = parts.use(await SqliteServerStore.open(join(state, 'servers.db'), await SecretBox.open(join(state, 'secret.key'))))
  const jobs = parts.use(await SqliteJobStore.open(join(state, 'jobs.db'), () => new Date(clock.now())))
  await ensureFirstToken(servers.access, state, applianceLog)
  const authority = await openCertificateAuthority(join(state, 'ca'), clock.now())
  const identity = { ...await authority.issueServer(serverNames(config.publicNames)), caPem: authority.certificatePem }

  const connect = overrides.openHypervisor ?? openVsphereHypervisor
  const hypervisors = parts.use(new SharedHypervisors(async (vmwareId, signal) => {
    const { host, port, user, thumbprint } = await servers.vmware.get(vmwareId)
    return await connect({ host, port, user, thumbprint, password: await servers.vmware.password(vmwareId), applianceVm: config.applianceVm }, signal)
  }))
  const openHypervisor = async (vmwareId: string, signal: AbortSignal): Promise<Hypervisor> => await hypervisors.open(vmwareId, signal)
  const runner = overrides.runner ?? new ExecaRunner()
  const volumes = parts.use(overrides.volumes ?? new LinuxVolumeStack({ runner, stateDirectory: state, devicesBySerial: config.devicesBySerial, clock }))
  const connected = parts.use(new SourceRegistry())
  const seams: Seams = {
    scripts: new ExecaScriptRunner(config.tasksDirectory), passphrases: servers.passphrases, sources: connected, openHypervisor, volumes, openTarget: overrides.openTarget ?? openReplicaVolume, replica: overrides.replica ?? replicaWork(runner, clock, state),
    store: jobs, clock, log: jobLog, times: { ...DEFAULT_TIMES, bootMs: config.bootTimeoutMs, holdMs: config.holdMs, checkMs: config.checkMs }, bootId: overrides.bootId ?? (await readFile(BOOT_ID_PATH, 'utf8')).trim(),
  }
  const engine = parts.use(await JobEngine.start(seams, jobSteps(seams)))
  const stop = new AbortController()
  parts.defer(() => { stop.abort(new DOMException('the appliance is shut down', 'AbortError')) })
  const arrived = async (server: SourceServer): Promise<void> => {
    await connected.add(server)
    await seen(servers, server, clock)
    void greetJobs(engine, server, stop.signal)
  }
  const linkIdentity = openLinkIdentity(identity)
  const listener = parts.use(await openSourceListener({
    host: config.replicationAddress, port: config.replicationPort, openLink: async (socket, signal) => await acceptTlsLink(linkIdentity, socket, signal),
    isEnrolled: async sourceId => (await servers.sources.list()).some(source => source.id === sourceId && source.status !== 'awaiting-enrolment'),
    onConnected: arrived, applianceVersion: VERSION, clock, log: linkLog,
  }))
  const publicAddress = { value: '' }
  const probe: ProbeParts = {
    showCertificate: overrides.showCertificate ?? (async (host, port, signal) => await probeCertificate(host, port, signal)), normalThumbprint,
    login: async ({ host, port, user, password }, thumbprint, signal) => await connect({ host, port, user, password, thumbprint, applianceVm: config.applianceVm }, signal),
  }
  const api = parts.use(await ApiServer.open({
    endpoints: [
      ...healthEndpoints({ version: VERSION, startedAtUtc }),
      ...enrolmentEndpoints({ sources: servers.sources, clock, authority, replicationPort: () => listener.port }),
      ...sourceEndpoints({ engine, sources: servers.sources, connected, clock, caSha256: authority.sha256, publicAddress: () => publicAddress.value }),
      ...targetEndpoints({
        engine, vmware: servers.vmware, clock, openHypervisor, closeHypervisor: async vmwareId => { await hypervisors.close(vmwareId) },
        probeVmware: async (server, signal) => await probeVmware(probe, server, signal),
      }),
      ...jobEndpoints({ engine, sources: servers.sources, vmware: servers.vmware, passphrases: servers.passphrases, connected }),
    ],
    access: servers.access, clock, log: apiLog, version: VERSION, tls: identity, address: config.apiAddress, port: config.apiPort,
  }))
  publicAddress.value = `${bracketed(shownName(config.publicNames))}:${String(api.port)}`
  const found = { apiPort: api.port, replicationPort: listener.port, caFile: join(state, 'ca', 'ca.crt'), adminTokenFile: join(state, ADMIN_TOKEN_FILE) }
  await writeFileAtomically(join(state, ENDPOINT_FILE), `${JSON.stringify({ version: 1, pid: process.pid, ...found })}\n`)
  applianceLog.info({ ...found, version: VERSION, stateDirectory: state }, 'appliance is ready')
  const held = parts.move()
  return { ...found, [Symbol.asyncDispose]: async () => { await held.disposeAsync() } }
}

async function makeStateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `cannot make the state directory ${path}`, { cause: error })
  }
}

/** A connection tells which agent is there, and when it was seen last. */
async function seen(servers: SqliteServerStore, server: SourceServer, clock: Clock): Promise<void> {
  const update = async (): Promise<void> => {
    try {
      const record = await servers.sources.get(server.sourceId)
      await servers.sources.update({ ...record, agentVersion: server.agentVersion, lastSeenAtUtc: new Date(clock.now()).toISOString() })
    } catch (error) {
      applianceLog.debug({ err: error, sourceId: server.sourceId }, 'source could not be marked as seen')
    }
  }
  await update()
  server.ended.addEventListener('abort', () => { void update() }, { once: true })
}

async function greetJobs(engine: JobEngine, server: SourceServer, signal: AbortSignal): Promise<void> {
  try {
    await engine.sourceConnected(server, signal)
  } catch (error) {
    applianceLog.warn({ err: error, sourceId: server.sourceId }, 'source could not be released from a job that is gone')
  }
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)
