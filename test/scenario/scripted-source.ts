/** A source machine with an agent, reduced to what a job can tell: one number that counts its writes, a capture, a freeze with a limit. */
import { AppError } from '../../src/errors/app-error.ts'
import { NO_MIRROR_PROGRESS, type ReplicationProgress } from '../../src/domain/progress.ts'
import { NO_VERIFY_PROGRESS, type VerifyProgress } from '../../src/domain/verification.ts'
import type { Transmission } from '../../src/domain/transmission.ts'
import type { Workload } from '../../src/domain/workload.ts'
import type { ConnectedSources, DrainReport, MirrorReport, SourceServer, VerifySink } from '../../src/source/source-server.ts'
import type { Clock } from '../../src/clock/clock.ts'

const NO_REPLICATION: ReplicationProgress = { queued: 0, changesApplied: 1, bytesSent: 10, recoveryPointLatencyMs: 0, latencyMsP50: 1, latencyMsP99: 2 }

/** What is on the replica's disks: how many of the source's writes, whether something else wrote there, whether the boot fix-ups are there, and whether both came together. */
export interface ReplicaData { writes: number, foreign: boolean, fixed: boolean, mixed: boolean }

export class ScriptedMachine implements ConnectedSources {
  readonly id = 'source-1'
  readonly calls: string[] = []
  /** how data was to go, in order */
  readonly transmissions: Transmission[] = []
  /** what the source has sent, and what waits there */
  bytesSent = 0
  waiting = { queued: 0, oldestMs: 0 }
  /** age of the oldest change that is not safe, as replication reports it */
  latencyMs = 0
  /** of each mirror */
  readonly settledBefore: (number | undefined)[] = []
  /** what waits is never replicated, until the link breaks */
  holdBarrier = false
  writes = 1
  off = false
  capturing: { jobId: string, epoch: string } | undefined
  #epochs = 0
  #frozenUntilMs = 0
  #connection: Connection | undefined
  #waiters: (() => void)[] = []
  /** the mirror stops here until the link breaks */
  holdMirror = false
  readonly clock: Clock
  readonly workload: Workload
  readonly replica: ReplicaData

  constructor(clock: Clock, workload: Workload, replica: ReplicaData) {
    this.clock = clock
    this.workload = workload
    this.replica = replica
  }

  get frozen(): boolean {
    return this.clock.now() < this.#frozenUntilMs
  }

  /** A user's write; a frozen or switched-off machine does not write. */
  write(): void {
    if (!this.frozen && !this.off) this.writes++
  }

  freeze(ms: number): void {
    this.#frozenUntilMs = this.clock.now() + ms
  }

  /** A hold never shortens what was asked before. */
  keepFrozen(ms: number): void {
    if (this.frozen) this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.clock.now() + ms)
  }

  thaw(): void {
    this.#frozenUntilMs = 0
  }

  /** The agent's process starts anew: what it captured is forgotten, and nothing stays frozen. */
  restartAgent(): void {
    this.disconnect()
    this.capturing = undefined
    this.thaw()
    this.connect()
  }

  /** The capture has missed changes: what replicates is told so, and what captures next is another one. */
  overflow(): void {
    this.capturing = undefined
    this.#connection?.overflow()
  }

  capture(jobId: string): string {
    if (this.capturing?.jobId !== jobId) this.capturing = { jobId, epoch: `epoch-${String(++this.#epochs)}` }
    return this.capturing.epoch
  }

  connect(): void {
    this.#connection = new Connection(this)
    for (const wake of this.#waiters.splice(0)) wake()
  }

  disconnect(): void {
    this.#connection?.end()
    this.#connection = undefined
  }

  find(sourceId: string): SourceServer | undefined {
    return sourceId === this.id ? this.#connection : undefined
  }

  async waitFor(sourceId: string, signal: AbortSignal): Promise<SourceServer> {
    for (;;) {
      signal.throwIfAborted()
      const source = this.find(sourceId)
      if (source !== undefined) return source
      await new Promise<void>(resolve => {
        this.#waiters.push(resolve)
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
  }
}

class Connection implements SourceServer {
  readonly sourceId: string
  readonly agentVersion = '0.1.0'
  readonly captureEpoch: string
  readonly capturingJobId: string
  readonly #machine: ScriptedMachine
  readonly #ended = new AbortController()
  #missed = new AbortController()

  constructor(machine: ScriptedMachine) {
    this.#machine = machine
    this.sourceId = machine.id
    this.captureEpoch = machine.capturing?.epoch ?? ''
    this.capturingJobId = machine.capturing?.jobId ?? ''
  }

  get ended(): AbortSignal {
    return this.#ended.signal
  }

  end(): void {
    this.#ended.abort(new AppError('LINK_LOST', 'the connection to the source was lost'))
  }

  overflow(): void {
    const missed = this.#missed
    this.#missed = new AbortController()
    missed.abort(new AppError('CAPTURE_OVERFLOW', 'changes were missed'))
  }

  async transmit(how: Transmission, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#ended.signal.throwIfAborted()
    this.#machine.transmissions.push(how)
    await Promise.resolve()
  }

  get bytesReceived(): number { return this.#machine.bytesSent }

  async queue(signal: AbortSignal): Promise<{ queued: number, oldestMs: number }> {
    signal.throwIfAborted()
    this.#ended.signal.throwIfAborted()
    return await Promise.resolve(this.#machine.waiting)
  }

  async whenReplicated(signal: AbortSignal): Promise<void> {
    this.#called('barrier', signal)
    if (this.#machine.holdBarrier) await this.#end(signal)
  }

  async describe(signal: AbortSignal): Promise<Workload> {
    this.#called('describe', signal)
    return this.#machine.workload
  }

  async prepare(jobId: string, _volumes: unknown, _rules: unknown, signal: AbortSignal): Promise<{ captureEpoch: string }> {
    this.#called('prepare', signal)
    return { captureEpoch: this.#machine.capture(jobId) }
  }

  async mirror(request: { compare: string }, _targets: unknown, report: (progress: MirrorReport['progress'], findings: readonly [], orphans: readonly []) => void, signal: AbortSignal, options: { settledBeforeMs?: number | undefined } = {}): Promise<MirrorReport> {
    this.#called(`mirror ${request.compare}`, signal)
    this.#machine.settledBefore.push(options.settledBeforeMs)
    report({ ...NO_MIRROR_PROGRESS, filesFound: 2, filesDone: 1 }, [], [])
    if (this.#machine.holdMirror) await this.#end(signal)
    signal.throwIfAborted()
    Object.assign(this.#machine.replica, { writes: this.#machine.writes, foreign: false, fixed: false, mixed: false })
    return { progress: { ...NO_MIRROR_PROGRESS, filesFound: 2, filesDone: 2, walked: true }, findings: [] }
  }

  async verify(request: { by: string }, _targets: unknown, sink: VerifySink, signal: AbortSignal): Promise<VerifyProgress> {
    this.#called(`verify ${request.by}`, signal)
    const differences = this.#machine.replica.writes === this.#machine.writes ? 0 : 1
    if (differences > 0) await sink.differences([{ volume: 0, path: Buffer.from('written').toString('base64'), type: 'file', moving: false, part: 0, aspects: [{ what: 'content' }] }])
    return { ...NO_VERIFY_PROGRESS, differences, walked: true }
  }

  async replicate(_targets: unknown, report: (progress: ReplicationProgress, findings: readonly []) => void, signal: AbortSignal): Promise<void> {
    this.#called('replicate', signal)
    if (this.#machine.replica.fixed) this.#machine.replica.mixed = true
    report({ ...NO_REPLICATION, recoveryPointLatencyMs: this.#machine.latencyMs }, [])
    try {
      await this.#end(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async drain(options: { freeze: boolean, holdMs: number }, _targets: unknown, _report: unknown, signal: AbortSignal): Promise<DrainReport> {
    this.#called('drain', signal)
    if (this.#machine.replica.fixed) this.#machine.replica.mixed = true
    if (options.freeze) this.#machine.freeze(options.holdMs)
    this.#machine.replica.writes = this.#machine.writes
    return { changes: 3, drainMs: 20, frozenAtMs: this.#machine.clock.now(), progress: NO_REPLICATION }
  }

  async hold(signal: AbortSignal, forMs = 60_000): Promise<boolean> {
    this.#called('hold', signal)
    this.#machine.keepFrozen(forMs)
    return this.#machine.frozen
  }

  async thaw(signal: AbortSignal): Promise<readonly []> {
    this.#called('thaw', signal)
    this.#machine.thaw()
    return []
  }

  async powerOff(signal: AbortSignal): Promise<void> {
    this.#called('power-off', signal)
    this.#machine.off = true
  }

  async release(signal: AbortSignal): Promise<void> {
    this.#called('release', signal)
    this.#machine.capturing = undefined
    this.#machine.thaw()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  #called(what: string, signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#ended.signal.throwIfAborted()
    this.#machine.calls.push(what)
  }

  /** Waits for the abort or the end of the link, and fails with its reason. */
  async #end(signal: AbortSignal): Promise<never> {
    const either = AbortSignal.any([signal, this.#ended.signal, this.#missed.signal])
    await new Promise<void>(resolve => {
      if (either.aborted) resolve()
      either.addEventListener('abort', () => { resolve() }, { once: true })
    })
    throw either.reason as Error
  }
}
