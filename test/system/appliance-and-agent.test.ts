/**
 * The real appliance and the real agent in one process, over TLS on free ports: API, enrolment, engine, mirror, replication and drain are real; only the VMware
 * server, the disks (directories stand for the volumes) and the freeze are not. Needs root, as the trees keep owners.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'node:https'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { z } from 'zod'
import { createAgent } from '../../src/agent/agent.ts'
import { parseAgentConfig } from '../../src/agent/config.ts'
import { enrol } from '../../src/agent/enrol.ts'
import { createAppliance, type Appliance, type ApplianceOverrides } from '../../src/appliance/appliance.ts'
import { ApplianceConfig } from '../../src/appliance/config.ts'
import { replicaWork } from '../../src/appliance/replica-work.ts'
import { systemClock } from '../../src/clock/clock.ts'
import { ExecaRunner } from '../../src/command/execa-runner.ts'
import { JobView } from '../../src/domain/job.ts'
import { EnrolmentOffer, SourceRecord } from '../../src/domain/server.ts'
import type { CaptureSeams } from '../../src/source/source-capture.ts'
import { MemoryVolumeStack } from '../../src/storage/memory-volume-stack.ts'
import { openPosixTargetTree } from '../../src/tree/posix-target-tree.ts'
import { ScriptedHypervisor } from '../scenario/scripted-hypervisor.ts'
import { OPTIONS, WORKLOAD } from '../scenario/workload.ts'

const DEADLINE_MS = 60_000

/** A user of the API. */
class User {
  readonly #port: number
  readonly #ca: string
  readonly #token: string

  private constructor(port: number, ca: string, token: string) {
    this.#port = port
    this.#ca = ca
    this.#token = token
  }

  static async of(appliance: Appliance): Promise<User> {
    return new User(appliance.apiPort, await readFile(appliance.caFile, 'utf8'), (await readFile(appliance.adminTokenFile, 'utf8')).trim())
  }

  async ask<T>(schema: z.ZodType<T>, method: string, path: string, body?: unknown): Promise<T> {
    const sent = request({ host: '127.0.0.1', port: this.#port, ca: this.#ca, method, path, agent: false, headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) } })
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    const [answer] = await once(sent, 'response') as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString()))
  }

  /** Waits for a job that satisfies; fails at the deadline, or when the job fails. */
  async until(what: string, satisfied: (job: JobView) => boolean): Promise<JobView> {
    const deadline = Date.now() + DEADLINE_MS
    for (;;) {
      const job = await this.ask(JobView, 'GET', '/jobs/move-shop')
      if (satisfied(job)) return job
      if (job.state === 'failed' || job.state === 'invalid' || Date.now() > deadline) throw new Error(`no ${what}: ${JSON.stringify([job.state, job.activity, job.lastError, job.validation.filter(finding => finding.severity === 'error')])}`)
      await systemClock.sleep(50, AbortSignal.timeout(1000))
    }
  }
}

t.test('a source enrols, is mirrored, replicated and cut over; the appliance is started anew in between', { timeout: 180_000, skip: process.getuid?.() === 0 ? false : 'needs root' }, async t => {
  const directory = t.testdir({ source: { etc: { hostname: 'shop\n' } } })
  const source = join(directory, 'source')
  const volumes = new MemoryVolumeStack()
  const hypervisor = new ScriptedHypervisor(volumes, WORKLOAD.hostName)
  let replica = ''
  const overrides: ApplianceOverrides = {
    // the volumes outlive an appliance, as disks do
    volumes: new Proxy(volumes, { get: (target, key) => {
      if (key === Symbol.asyncDispose) return async () => { await Promise.resolve() }
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    } }),
    // volumes in memory keep their ids in memory, too: their folders bear none
    openTarget: async (path, _volumeId, signal) => await openPosixTargetTree(path, signal),
    openHypervisor: async () => hypervisor, showCertificate: async () => ({ subject: 'CN=esx', thumbprint: 'AA', verified: true, reason: '' }),
    replica: { ...replicaWork(new ExecaRunner(), systemClock, join(directory, 'appliance')), rehearse: async () => [], makeBootable: async ({ mounted }) => {
      replica = mounted[0]?.mountPoint ?? ''
      await writeFile(join(directory, 'as-frozen'), await readFile(join(replica, 'data')))
      return []
    } },
  }
  const config = ApplianceConfig.parse({ stateDirectory: join(directory, 'appliance'), apiAddress: '127.0.0.1', apiPort: 0, replicationAddress: '127.0.0.1', replicationPort: 0, publicNames: ['127.0.0.1'] })
  let appliance = await createAppliance(config, overrides)
  t.teardown(async () => {
    await appliance[Symbol.asyncDispose]()
    await volumes[Symbol.asyncDispose]()
  })
  await t.rejects(createAppliance(config, overrides), { code: 'STATE_IN_USE' })
  let user = await User.of(appliance)
  const offer = await user.ask(EnrolmentOffer, 'POST', '/sources', { name: 'shop' })
  await mkdir(join(directory, 'agent'))
  await enrol({ host: '127.0.0.1', port: appliance.apiPort, caSha256: offer.caSha256, token: offer.token, agentVersion: '0.1.0', stateDirectory: join(directory, 'agent') }, AbortSignal.timeout(20_000))

  const stopAgent = new AbortController()
  const agentConfig = { stateDirectory: join(directory, 'agent'), root: source, powerOff: 'none', capture: 'none', applianceHost: '127.0.0.1', replicationPort: appliance.replicationPort }
  let frozen = 0
  const freeze: CaptureSeams['freeze'] = async () => {
    frozen++
    const kept = new AsyncDisposableStack()
    return {
      frozenAtMs: Date.now(), holdMs: 60_000, thawed: new AbortController().signal, hold: async () => true, thaw: async () => undefined, leave: async () => true,
      keep: resource => { kept.use(resource) }, [Symbol.asyncDispose]: async () => { await kept.disposeAsync() },
    }
  }
  const agent = createAgent(parseAgentConfig(JSON.stringify(agentConfig), 'test'), { describe: async () => WORKLOAD, capture: { freeze } })
  const running = agent.run(stopAgent.signal)
  t.teardown(async () => {
    stopAgent.abort()
    await Promise.allSettled([running])
    await agent[Symbol.asyncDispose]()
  })
  await user.ask(SourceRecord, 'GET', '/sources/shop')
  await writeFile(join(source, 'data'), 'written before the mirror')
  await user.ask(z.unknown(), 'POST', '/vmware', { name: 'lab', host: 'esx', user: 'u', password: 'p' })
  await user.ask(JobView, 'POST', '/jobs', { name: 'move-shop', source: 'shop', vmware: 'lab', options: OPTIONS })
  await user.ask(JobView, 'POST', '/jobs/move-shop/actions/validate')
  await user.until('validation', job => job.state === 'ready')
  await user.ask(JobView, 'POST', '/jobs/move-shop/actions/start')
  const protectedJob = await user.until('protection', job => job.state === 'protecting' && job.replication !== undefined)
  t.ok((protectedJob.mirror?.filesDone ?? 0) >= 2, 'files were mirrored')

  await appliance[Symbol.asyncDispose]()
  appliance = await createAppliance({ ...config, apiPort: appliance.apiPort, replicationPort: appliance.replicationPort }, overrides)
  user = await User.of(appliance)
  await user.until('protection after the restart', job => job.state === 'protecting' && job.sourceConnected && job.activity.startsWith('protecting'))
  await user.ask(JobView, 'POST', '/jobs/move-shop/actions/cutover')
  const done = await user.until('completion', job => job.state === 'completed')
  t.equal(done.proof?.hostName, 'shop')
  t.equal(frozen, 1)
  t.ok((done.downtimeMs ?? -1) >= 0)
  t.equal(await readFile(join(directory, 'as-frozen'), 'utf8'), 'written before the mirror')
  t.equal(await readFile(join(replica, 'etc', 'hostname'), 'utf8'), 'shop\n')
})
