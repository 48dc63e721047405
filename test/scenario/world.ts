/**
 * Everything around the job engine, in memory: one source, one VMware server, the appliance's volumes and store. The appliance can be killed at any call of
 * a seam: what runs then never wakes again, and a new engine starts on what is left. Rules that must always hold are checked as things happen.
 */
import { pino } from 'pino'
import type { ScriptResult, ScriptRunner } from '../../src/command/script-runner.ts'
import { AppError } from '../../src/errors/app-error.ts'
import type { Job, JobState } from '../../src/domain/job.ts'
import type { Workload } from '../../src/domain/workload.ts'
import { JobEngine } from '../../src/job/job-engine.ts'
import { MemoryJobStore } from '../../src/job/memory-job-store.ts'
import { DEFAULT_TIMES, type JobTimes, type ReplicaWork, type Seams } from '../../src/job/step.ts'
import { jobSteps } from '../../src/job/steps.ts'
import { buildReplica } from '../../src/replica/build.ts'
import { checkPlan } from '../../src/replica/check-plan.ts'
import { discardReplica } from '../../src/replica/discard.ts'
import { planReplica } from '../../src/replica/plan.ts'
import type { ErrorCode } from '../../src/errors/codes.ts'
import { MemoryVolumeStack } from '../../src/storage/memory-volume-stack.ts'
import type { TargetTree } from '../../src/tree/target-tree.ts'
import { ScriptedHypervisor } from './scripted-hypervisor.ts'
import { ScriptedMachine } from './scripted-source.ts'
import { VirtualClock } from './virtual-clock.ts'
import { OPTIONS, WORKLOAD } from './workload.ts'

const WAIT_MS = 20_000

export class World implements AsyncDisposable {
  readonly clock = new VirtualClock()
  readonly store = new MemoryJobStore(() => new Date(this.clock.now()))
  readonly volumes = new MemoryVolumeStack()
  readonly hypervisor: ScriptedHypervisor
  readonly replica = { writes: 0, foreign: false, fixed: false, restorable: false, mixed: false, asRehearsed: true, rehearsals: 0 }
  readonly source: ScriptedMachine
  /** what was seen that must never be */
  readonly violations: string[] = []
  /** tasks that were run, and how each ends */
  readonly scriptRuns: string[] = []
  scriptResult: ScriptResult = { exitCode: 0, timedOut: false, output: 'done' }
  readonly scripts: ScriptRunner = {
    run: async (script, args) => {
      this.scriptRuns.push([script, ...args].join(' '))
      return await Promise.resolve(this.scriptResult)
    },
  }
  readonly passphrases = new Map<string, string>()
  bootId = 'boot-1'
  times: JobTimes = DEFAULT_TIMES
  /** calls of seams so far, and the one at which the appliance is killed */
  calls = 0
  killAt = Infinity
  killed = false
  engine: JobEngine | undefined
  #generation = 0
  #failures = new Map<string, Error[]>()

  constructor(workload: Workload = WORKLOAD) {
    this.hypervisor = new ScriptedHypervisor(this.volumes, workload.hostName)
    this.source = new ScriptedMachine(this.clock, workload, this.replica)
    this.source.connect()
    this.hypervisor.poweredOn = vmName => {
      if (vmName.endsWith('-test')) return
      if (!this.source.frozen && !this.source.off) this.violations.push('the replica was powered on while the source could write')
      if (this.replica.writes !== this.source.writes) this.violations.push('the replica was powered on without the last writes')
      if (this.replica.foreign) this.violations.push('the replica was powered on with foreign data')
      if (this.replica.mixed) this.violations.push('data of the source was replicated over the boot fix-ups of an undone cutover')
      if (!this.replica.fixed) this.violations.push('the replica was powered on without its boot fix-ups')
      this.replica.foreign = true // a system that boots writes
    }
  }

  /** The appliance is started (again). */
  async start(): Promise<JobEngine> {
    this.killed = false
    const seams = this.#seams(++this.#generation)
    this.engine = await JobEngine.start(seams, jobSteps(seams))
    return this.engine
  }

  /** As by SIGKILL: nothing of it runs on. */
  kill(): void {
    this.#generation++
    this.killed = true
  }

  isKilled(): boolean {
    return this.killed
  }

  /** The next call of `name` ('hypervisor.power') fails so; several in turn. */
  fail(name: string, code: ErrorCode, times = 1): void {
    this.#failures.set(name, [...this.#failures.get(name) ?? [], ...Array.from({ length: times }, () => new AppError(code, `${name} failed`))])
  }

  async createJob(options: Partial<Job['options']> = {}): Promise<Job> {
    return await this.#running().create({ name: 'move-shop', source: this.source.id, vmware: 'vmware-1', options: { ...OPTIONS, ...options } })
  }

  /** Waits for one of the states, at most 20 s of real time; also ends when the appliance is killed. */
  async until(...states: readonly JobState[]): Promise<Job | undefined> {
    const deadline = Date.now() + WAIT_MS
    while (Date.now() < deadline) {
      if (this.killed) return undefined
      const job = this.#running().list()[0]
      if (job !== undefined && states.includes(job.state)) return job
      await new Promise(resolve => { setImmediate(resolve) })
    }
    throw new Error(`the job did not become ${states.join(' or ')}: ${JSON.stringify(this.engine?.list().map(job => [job.state, job.activity, job.lastError]))}`)
  }

  /** Validates, starts, and waits until the job protects. */
  async protect(options: Partial<Job['options']> = {}): Promise<Job> {
    const { id } = await this.createJob(options)
    await this.#running().act(id, 'validate')
    await this.until('ready')
    await this.#running().act(id, 'start')
    const job = await this.replicating()
    if (job === undefined) throw new Error('killed')
    return job
  }

  /** Waits until the source replicates for the job. */
  async replicating(): Promise<Job | undefined> {
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      const job = await this.until('protecting')
      if (job === undefined || (job.replication !== undefined && this.source.calls.at(-1) === 'replicate')) return job
      if (Date.now() > deadline) throw new Error('the job does not replicate')
      await new Promise(resolve => { setImmediate(resolve) })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.killed) await this.engine?.[Symbol.asyncDispose]()
    this.kill()
    await this.volumes[Symbol.asyncDispose]()
  }

  #running(): JobEngine {
    if (this.engine === undefined) throw new Error('the appliance was not started')
    return this.engine
  }

  #seams(generation: number): Seams {
    const guard = <T extends object>(name: string, seam: T): T => this.#guarded(name, seam, generation)
    const sources = { find: (id: string) => guardedFind(id), waitFor: async (id: string, signal: AbortSignal) => guard('source', await this.source.waitFor(id, signal)) }
    const guardedFind = (id: string): ReturnType<ScriptedMachine['find']> => {
      const found = this.source.find(id)
      return found === undefined ? undefined : guard('source', found)
    }
    const replica: ReplicaWork = {
      plan: request => {
        const plan = planReplica(request)
        return { plan, findings: checkPlan({ ...request, plan }) }
      },
      build: buildReplica,
      makeBootable: async ({ jobId }, { beforeChanges }, signal) => {
        signal.throwIfAborted()
        if (jobId.endsWith('-test')) return [] // copies of the replica's disks
        this.replica.restorable = true
        await beforeChanges()
        this.replica.fixed = true
        return []
      },
      restore: async (_request, signal) => {
        signal.throwIfAborted()
        const found = this.replica.restorable
        if (found) Object.assign(this.replica, { fixed: false, restorable: false })
        return { found }
      },
      forgetFixUps: async ({ jobId }) => { if (!jobId.endsWith('-test')) this.replica.restorable = false },
      rehearse: async (_request, _keepReport, signal) => {
        signal.throwIfAborted()
        Object.assign(this.replica, { asRehearsed: true, rehearsals: this.replica.rehearsals + 1 })
        return []
      },
      isAsRehearsed: async (_request, signal) => {
        signal.throwIfAborted()
        return this.replica.asRehearsed
      },
      discard: discardReplica,
    }
    return {
      scripts: this.scripts, passphrases: { get: async id => this.passphrases.get(id), remove: async id => { this.passphrases.delete(id) } }, sources, openHypervisor: async () => guard('hypervisor', this.hypervisor), volumes: guard('volumes', this.volumes), openTarget: async () => guard('tree', tree()),
      replica: guard('replica', replica), store: guard('store', this.store), clock: this.clock, log: pino({ level: 'silent' }), times: this.times, bootId: this.bootId,
    }
  }

  /** Every call counts, may fail as told, lets the source's users write, and does not return to an appliance that was killed. */
  #guarded<T extends object>(name: string, seam: T, generation: number): T {
    return new Proxy(seam, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function' || typeof key !== 'string' || key === 'plan') return value
        return async (...values: unknown[]): Promise<unknown> => {
          await this.#alive(generation)
          const failure = this.#failures.get(`${name}.${key}`)?.shift()
          if (failure !== undefined) throw failure
          this.source.write()
          const result: unknown = await Reflect.apply(value, target, values)
          await this.#alive(generation)
          return result
        }
      },
    })
  }

  /** Each look is a moment at which a kill may come: before a call's effect and after it. */
  async #alive(generation: number): Promise<void> {
    this.calls++
    if (this.calls === this.killAt) this.kill()
    if (generation !== this.#generation) await new Promise<never>(() => undefined)
  }
}

function tree(): TargetTree {
  return {
    apply: async () => ({ operations: 0, bytesWritten: 0, failures: [] }),
    async *list() { yield* [] },
    async *listAll() { yield* [] },
    look: async () => undefined,
    same: async directories => Buffer.alloc(directories.length),
    blockHashes: async () => Buffer.alloc(0),
    flush: async () => undefined,
    readMirrorMark: async () => undefined,
    writeMirrorMark: async () => true,
    [Symbol.asyncDispose]: async () => undefined,
  }
}
