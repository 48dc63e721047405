/** SourceServer over a Link to the agent. */
import type { Clock } from '../clock/clock.ts'
import type { Finding } from '../domain/finding.ts'
import { NO_MIRROR_PROGRESS, type MirrorProgress, type ReplicationProgress } from '../domain/progress.ts'
import { ROOT_PATH } from '../domain/rel-path.ts'
import type { Rule } from '../domain/rule.ts'
import type { Transmission } from '../domain/transmission.ts'
import type { VerifyProgress } from '../domain/verification.ts'
import type { Workload } from '../domain/workload.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Logger } from '../logging/logger.ts'
import { MarkedTargets } from '../replication/marked-targets.ts'
import { invalid } from '../wire/byte-reader.ts'
import type { Link } from '../wire/link.ts'
import { MAX_QUIESCE_NOTES, type Control, type Message, type MirrorRequest, type QuiesceNote, type Reached, type VerifyRequest, type VolumeRoot } from '../wire/messages.ts'
import { OperationIntake } from './operation-intake.ts'
import { paced } from './paced-reports.ts'
import { ReplicaAnswers } from './replica-answers.ts'
import { RequestChannel } from './request-channel.ts'
import type { DrainReport, DrainRequest, MirrorListener, MirrorReport, SourceServer, Targets, VerifySink } from './source-server.ts'

export type Hello = Extract<Control, { kind: 'hello' }>

export interface LinkSourceServerOptions {
  link: Link
  /** the messages behind `hello`, not begun */
  messages: AsyncIterator<Message>
  sourceId: string
  hello: Hello
  clock: Clock
  log: Logger
}

/** what takes the operations and questions of the mirror, replication or drain that is under way */
interface Flow { intake?: OperationIntake, answers: ReplicaAnswers }

const DESCRIBE_MS = 180_000
/** the capture begins with writing back what is dirty on the source */
const PREPARE_MS = 900_000
const SHORT_MS = 60_000
/** services start again behind the thaw */
const THAW_MS = 600_000
/**
 * A mirror's operations are flushed when they pause for so long, not at every short pause: nobody waits for a single one of them, each flush
 * costs the disk a commit (63 of them for 20,000 small files), and the agent asks for one at the end.
 */
const MIRROR_IDLE_MS = 1000
/** the largest listing of a root that goes into a request */
const MAX_ROOT_BYTES = 128 * 1024

/** Takes the link over; it is closed when the server is disposed. */
export function linkSourceServer(options: LinkSourceServerOptions): SourceServer {
  return new LinkSourceServer(options)
}

class LinkSourceServer implements SourceServer {
  readonly sourceId: string
  readonly agentVersion: string
  readonly #link: Link
  readonly #clock: Clock
  readonly #ended = new AbortController()
  readonly #channel: RequestChannel
  readonly #receiving: Promise<void>
  #captureEpoch: string
  #capturingJobId: string
  #lastSequence = 0
  #flow: Flow | undefined

  constructor({ link, messages, sourceId, hello, clock, log }: LinkSourceServerOptions) {
    this.#link = link
    this.#clock = clock
    this.sourceId = sourceId
    this.agentVersion = hello.agentVersion
    this.#captureEpoch = hello.captureEpoch
    this.#capturingJobId = hello.jobId
    this.#channel = new RequestChannel(link, this.#ended.signal)
    this.#receiving = this.#receive(messages, log.child({ sourceId }))
  }

  get captureEpoch(): string { return this.#captureEpoch }
  get capturingJobId(): string { return this.#capturingJobId }
  get ended(): AbortSignal { return this.#ended.signal }

  async transmit(how: Transmission, signal: AbortSignal): Promise<void> {
    this.#link.transmit(how)
    await this.#link.send({ type: 'control', control: { kind: 'transmission', how } }, signal)
  }

  get bytesReceived(): number { return this.#link.bytesReceived }

  async queue(signal: AbortSignal): Promise<{ queued: number, oldestMs: number }> {
    const { queued, oldestMs } = await this.#channel.ask(id => ({ kind: 'queue', id }), 'queued', SHORT_MS, signal)
    return { queued, oldestMs }
  }

  async whenReplicated(signal: AbortSignal): Promise<void> {
    await this.#channel.run(id => ({ kind: 'barrier', id }), 'passed', () => undefined, signal)
  }

  async describe(signal: AbortSignal): Promise<Workload> {
    return (await this.#channel.ask(id => ({ kind: 'describe', id }), 'workload', DESCRIBE_MS, signal)).workload
  }

  async prepare(jobId: string, volumes: readonly VolumeRoot[], rules: readonly Rule[], signal: AbortSignal, { reached }: { reached?: Reached | undefined } = {}): Promise<{ captureEpoch: string }> {
    const { captureEpoch } = await this.#channel.ask(id => ({ kind: 'prepare', id, jobId, volumes: [...volumes], rules: [...rules], ...reached === undefined ? {} : { reached } }), 'prepared', PREPARE_MS, signal)
    this.#captureEpoch = captureEpoch
    this.#capturingJobId = jobId
    return { captureEpoch }
  }

  async mirror(request: MirrorRequest, targets: Targets, report: MirrorListener, signal: AbortSignal, { settledBeforeMs }: { settledBeforeMs?: number | undefined } = {}): Promise<MirrorReport> {
    this.#checkIdle(signal)
    let latest: MirrorProgress = NO_MIRROR_PROGRESS
    // a preview writes nothing, no mark either
    const marked = request.orphansPreview === true ? undefined : await MarkedTargets.begin(targets, { compare: request.compare, settledBeforeMs }, this.#clock, signal)
    const mirrored = await this.#withIntake(marked?.trees ?? targets, async inner => await paced<MirrorProgress, MirrorReport>((p, f) => { report(p, f, []) }, this.#clock, async reports => await paced<ReplicationProgress, MirrorReport>((p, f) => { report(latest, f, [], p) }, this.#clock, async beside => {
      const { progress } = await this.#channel.run(id => ({ kind: 'mirror', id, request, resume: marked?.resume ?? [] }), 'mirror-complete', control => {
        if (control.kind === 'mirror-progress') {
          latest = control.progress
          reports.take(latest, control.findings)
        } else if (control.kind === 'replication-progress') beside.take(control.progress, control.findings)
        else if (control.kind === 'mirror-orphans') report(latest, [], control.orphans)
      }, inner)
      return { progress, findings: [] }
    })), signal, MIRROR_IDLE_MS)
    await marked?.complete(signal)
    return mirrored
  }

  async verify(request: VerifyRequest, targets: Targets, sink: VerifySink, signal: AbortSignal): Promise<VerifyProgress> {
    this.#checkIdle(signal)
    const roots: { volume: number, page: string }[] = []
    for (const [volume, tree] of targets) roots.push({ volume, page: rootPage(await tree.look(ROOT_PATH, signal)) })
    await using answers = new ReplicaAnswers(this.#link, targets)
    this.#flow = { answers }
    const failure = new AbortController()
    try {
      const report = (progress: VerifyProgress): void => { sink.progress(progress) }
      const { progress } = await paced(report, this.#clock, async reports => await this.#channel.run(id => ({ kind: 'verify', id, request, roots }), 'verify-complete', async control => {
        if (control.kind === 'verify-progress') reports.take(control.progress, [])
        if (control.kind !== 'differences' || failure.signal.aborted) return
        try {
          await sink.differences(control.differences)
        } catch (error) {
          failure.abort(error) // a report that cannot be written ends the verification, not the connection
        }
      }, AbortSignal.any([signal, answers.failed, failure.signal])))
      failure.signal.throwIfAborted()
      return progress
    } catch (error) {
      answers.failed.throwIfAborted()
      this.#ended.signal.throwIfAborted()
      throw error
    } finally {
      this.#flow = undefined
    }
  }

  async replicate(targets: Targets, report: (progress: ReplicationProgress, findings: readonly Finding[]) => void, signal: AbortSignal): Promise<void> {
    try {
      await this.#withIntake(targets, async inner => {
        // it has no answer of its own: it ends by being cancelled
        await paced(report, this.#clock, async reports => await this.#channel.run(id => ({ kind: 'replicate', id }), 'cancelled', control => {
          if (control.kind === 'replication-progress') reports.take(control.progress, control.findings)
        }, inner))
      }, signal)
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error
    }
  }

  async drain(
    { freeze, holdMs, quiesce, note }: DrainRequest, targets: Targets, report: (progress: ReplicationProgress, findings: readonly Finding[]) => void, signal: AbortSignal,
  ): Promise<DrainReport> {
    return await this.#withIntake(targets, async inner => await paced(report, this.#clock, async reports => {
      let told = 0
      const drained = await this.#channel.run(id => ({ kind: 'drain', id, freeze, holdMs, ...(quiesce === undefined ? {} : { quiesce }) }), 'drained', async control => {
        if (control.kind === 'replication-progress') reports.take(control.progress, control.findings)
        else if (control.kind === 'quiesce-note') {
          // each is kept in the job's history
          if (++told > MAX_QUIESCE_NOTES) throw new AppError('FRAME_INVALID', 'the agent tells more of its scripts and services than it can have')
          await note?.(control.note)
        }
      }, inner)
      return { stoppedAtMs: drained.stoppedAtMs, changes: drained.changes, drainMs: drained.drainMs, frozenAtMs: drained.frozenAtMs, progress: drained.progress }
    }), signal)
  }

  async hold(signal: AbortSignal, forMs?: number): Promise<boolean> {
    return (await this.#channel.ask(id => ({ kind: 'hold', id, ...(forMs === undefined ? {} : { forMs }) }), 'held', SHORT_MS, signal)).frozen
  }

  async thaw(signal: AbortSignal): Promise<readonly QuiesceNote[]> {
    return (await this.#channel.ask(id => ({ kind: 'thaw', id }), 'thawed', THAW_MS, signal)).notes ?? []
  }

  async powerOff(signal: AbortSignal): Promise<void> {
    await this.#channel.ask(id => ({ kind: 'power-off', id }), 'powering-off', SHORT_MS, signal)
  }

  async release(signal: AbortSignal, { completed }: { completed: boolean } = { completed: false }): Promise<void> {
    await this.#channel.ask(id => ({ kind: 'release', id, completed }), 'released', SHORT_MS, signal)
    this.#captureEpoch = ''
    this.#capturingJobId = ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]()
    await this.#receiving
  }

  /**
   * Runs work that makes the agent send operations. What stops first counts: the signal, the link's end, or a failure of the replica; the
   * agent has stopped and everything it sent is applied (or dropped behind the failure) when this settles.
   */
  async #withIntake<T>(targets: Targets, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal, idleMs?: number): Promise<T> {
    this.#checkIdle(signal)
    await using intake = new OperationIntake(this.#link, { targets, clock: this.#clock, ...(idleMs === undefined ? {} : { idleMs }) }, this.#lastSequence)
    await using answers = new ReplicaAnswers(this.#link, targets)
    this.#flow = { intake, answers }
    const failed = AbortSignal.any([intake.failed, answers.failed])
    try {
      const result = await work(AbortSignal.any([signal, failed]))
      await intake.finish()
      return result
    } catch (error) {
      // of a replica that failed and the link that failed with it, the replica is the news
      failed.throwIfAborted()
      this.#ended.signal.throwIfAborted()
      if (signal.aborted) await intake.finish()
      throw error
    } finally {
      this.#flow = undefined
    }
  }

  #checkIdle(signal: AbortSignal): void {
    signal.throwIfAborted()
    this.#ended.signal.throwIfAborted()
    if (this.#flow !== undefined) throw new AppError('REQUEST_INVALID', `source ${this.sourceId} is busy with another mirror, replication or drain`)
  }

  /** Never rejects: how it ended is in `ended`. */
  async #receive(messages: AsyncIterator<Message>, log: Logger): Promise<void> {
    let error: AppError
    try {
      for (let next = await messages.next(); next.done !== true; next = await messages.next()) await this.#take(next.value)
      error = new AppError('LINK_LOST', `source ${this.sourceId} closed the connection`)
    } catch (cause) {
      if (!isAppError(cause)) log.error({ err: cause }, 'connection of a source failed')
      else if (cause.code !== 'LINK_LOST') log.warn({ err: cause }, 'connection of a source was given up')
      error = new AppError('LINK_LOST', `the connection of source ${this.sourceId} was lost: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
    this.#ended.abort(error)
    await this.#link[Symbol.asyncDispose]()
  }

  async #take(message: Message): Promise<void> {
    switch (message.type) {
      case 'control':
        if (message.control.kind === 'listed') this.#flow?.answers.listed(message.control.request, message.control.bytes)
        else if (message.control.kind === 'flush') this.#flow?.intake?.flush()
        else await this.#channel.take(message.control)
        return
      case 'operations':
        if (message.sequence !== this.#lastSequence + 1) throw invalid(`operations ${String(message.sequence)} after ${String(this.#lastSequence)}`)
        this.#lastSequence = message.sequence
        await this.#intake().put(message)
        return
      case 'list':
        this.#asked(message.type).answers.list(message)
        return
      case 'hash':
        this.#asked(message.type).answers.hash(message)
        return
      case 'digests':
        this.#asked(message.type).answers.same(message)
        return
      case 'listing': case 'hashes': case 'same':
        throw invalid(`${message.type}, which only an appliance sends`)
    }
  }

  #intake(): OperationIntake {
    const { intake } = this.#asked('operations')
    if (intake === undefined) throw invalid('operations while the replica is only looked at')
    return intake
  }

  #asked(what: string): Flow {
    if (this.#flow === undefined) throw invalid(`${what} that nobody asked for`)
    return this.#flow
  }
}

/** A root whose attributes are too many for a message is told as one that cannot be read. */
function rootPage(page: Buffer | undefined): string {
  return page === undefined || page.length > MAX_ROOT_BYTES ? '' : page.toString('base64')
}
