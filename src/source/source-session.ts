/**
 * The agent's side of one connection: says hello, then answers what the appliance asks until the link ends. What outlives a connection
 * (open volumes, capture, a frozen source) is in the SourceCapture that it is given. It never holds up receiving: every request is
 * answered beside the others; mirror (with the replication beside it), verify, replicate and drain exclude each other, because they share one
 * stream of operations.
 */
import type { Clock } from '../clock/clock.ts'
import type { MirrorProgress } from '../domain/progress.ts'
import { EVEN } from '../domain/transmission.ts'
import type { VerifyProgress } from '../domain/verification.ts'
import type { Workload } from '../domain/workload.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import type { Logger } from '../logging/logger.ts'
import { verifyVolumes } from '../mirror/verifier.ts'
import type { Link } from '../wire/link.ts'
import { PROTOCOL_VERSION, type Control, type QuiesceNote } from '../wire/messages.ts'
import { AcknowledgedStream } from '../wire/acknowledged-stream.ts'
import { mirrorBesideReplication } from './mirror-beside-replication.ts'
import { ReportSender } from './report-sender.ts'
import { SessionReplication, type FollowedLoad } from './session-replication.ts'
import type { SourceCapture } from './source-capture.ts'

export interface SourceSessionOptions {
  link: Link
  capture: SourceCapture
  describe: (signal: AbortSignal) => Promise<Workload>
  /** Switches the machine off, or leaves it as it is configured. Called when the answer is on its way. */
  powerOff: (capture: SourceCapture) => Promise<void>
  load?: FollowedLoad
  /** called when the appliance has welcomed this agent */
  onWelcome?: () => void
  agentVersion: string
  clock: Clock
  log: Logger
}

type Request = Exclude<Extract<Control, { id: number }>, { kind: 'cancel' }>
type Answer = Exclude<Extract<Control, { id: number }>, { kind: 'failed' | 'cancelled' }> | undefined
type Flow = 'mirror' | 'verify' | 'replicate' | 'drain'

/** how long the appliance may take to answer `hello` */
const WELCOME_MS = 15_000
/** requests that may be under way at once */
const MAX_REQUESTS = 32

/**
 * Serves one connection; resolves when the appliance ended it orderly or the signal aborted, and everything that it began has ended.
 * @throws {AppError} PROTOCOL_VERSION or PEER_UNTRUSTED when the appliance refuses this agent; LINK_LOST, FRAME_INVALID
 */
export async function runSourceSession(options: SourceSessionOptions, signal: AbortSignal): Promise<void> {
  await using session = new SourceSession(options)
  await session.serve(signal)
}

class SourceSession implements AsyncDisposable {
  readonly #options: SourceSessionOptions
  readonly #link: Link
  readonly #stream: AcknowledgedStream
  readonly #life = new AbortController()
  readonly #requests = new Map<number, { cancel: AbortController, done: Promise<void> }>()
  /** the one of mirror, verify, replicate, drain that is under way */
  #flow: { kind: Flow, cancel: AbortController, done: Promise<unknown> } | undefined
  readonly #replication: SessionReplication
  #ignoresDeletes = false
  #ratio = EVEN

  constructor(options: SourceSessionOptions) {
    this.#options = options
    this.#link = options.link
    this.#stream = new AcknowledgedStream(options.link)
    this.#replication = new SessionReplication({
      ...options, stream: this.#stream, keepsDeleted: () => this.#ignoresDeletes,
      tell: async (id, progress, findings) => { await this.#tell({ kind: 'replication-progress', id, progress, findings: [...findings] }) },
    })
  }

  async serve(signal: AbortSignal): Promise<void> {
    const { capture, agentVersion } = this.#options
    signal.throwIfAborted()
    const stop = (): void => { void this.#link[Symbol.asyncDispose]() }
    signal.addEventListener('abort', stop, { once: true })
    // a server that is no appliance may never say anything
    const late = setTimeout(stop, WELCOME_MS)
    let welcome = false
    try {
      await this.#link.send({ type: 'control', control: { kind: 'hello', protocolVersion: PROTOCOL_VERSION, agentVersion, captureEpoch: capture.epoch, jobId: capture.jobId } }, signal)
      for await (const message of this.#link.receive()) {
        if (message.type === 'listing') this.#stream.listing(message)
        else if (message.type === 'hashes' || message.type === 'same') this.#stream.answered(message)
        else if (message.type !== 'control') throw new AppError('FRAME_INVALID', `the appliance sent ${message.type}, which only an agent sends`)
        else if (welcome) this.#take(message.control)
        else {
          welcomed(message.control)
          welcome = true
          clearTimeout(late)
          this.#options.onWelcome?.()
        }
      }
      if (!welcome && !signal.aborted) throw new AppError('LINK_LOST', 'the appliance did not answer the greeting')
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const error = new AppError('LINK_LOST', 'the connection to the appliance has ended')
    this.#life.abort(error)
    this.#stream.fail(error)
    await Promise.all([...this.#requests.values()].map(async request => { await request.done }))
    await this.#link[Symbol.asyncDispose]()
  }

  #take(control: Control): void {
    if (control.kind === 'acknowledge') this.#stream.acknowledge(control)
    else if (control.kind === 'transmission') {
      this.#ignoresDeletes = control.how.ignoreDeletes === true
      this.#ratio = control.how.ratio ?? EVEN
      this.#link.transmit(control.how)
    }
    else if (control.kind === 'cancel') this.#requests.get(control.id)?.cancel.abort()
    else if (isRequest(control)) {
      if (this.#requests.has(control.id) || this.#requests.size >= MAX_REQUESTS) throw new AppError('FRAME_INVALID', 'the appliance asks twice under one number, or too much at once')
      const cancel = new AbortController()
      const done = this.#handle(control, cancel)
      this.#requests.set(control.id, { cancel, done })
    } else throw new AppError('FRAME_INVALID', `the appliance sent ${control.kind}, which only an agent sends`)
  }

  /** Answers one request whatever happens; never rejects. */
  async #handle(request: Request, cancel: AbortController): Promise<void> {
    await Promise.resolve() // so that the request is registered before it ends
    const { log } = this.#options
    const signal = AbortSignal.any([cancel.signal, this.#life.signal])
    let answer: Answer | Extract<Control, { kind: 'failed' | 'cancelled' }>
    try {
      answer = await this.#answer(request, cancel, signal) ?? { kind: 'cancelled', id: request.id }
    } catch (error) {
      if (cancel.signal.aborted) answer = { kind: 'cancelled', id: request.id }
      else if (isAppError(error)) answer = { kind: 'failed', id: request.id, code: error.code, message: error.message }
      else answer = { kind: 'failed', id: request.id, code: 'INTERNAL', message: `the agent failed at "${request.kind}"; its log says more` }
      if (!signal.aborted) log.warn({ err: error, request: request.kind }, 'request of the appliance failed')
    }
    this.#requests.delete(request.id)
    if (this.#isOver()) return
    try {
      await this.#link.send({ type: 'control', control: answer }, this.#life.signal)
      if (answer.kind === 'powering-off') await this.#options.powerOff(this.#options.capture)
    } catch (error) {
      if (!this.#isOver() && !isAppError(error, 'LINK_LOST')) log.error({ err: error, request: request.kind }, 'request of the appliance could not be finished')
    }
  }

  async #answer(request: Request, cancel: AbortController, signal: AbortSignal): Promise<Answer> {
    const { capture, describe } = this.#options
    const { id } = request
    switch (request.kind) {
      case 'describe': return { kind: 'workload', id, workload: await describe(signal) }
      case 'prepare': {
        const { changes } = await capture.prepare(request.jobId, request.volumes, request.rules, signal)
        if (request.reached !== undefined) await capture.checkReached(request.reached)
        return { kind: 'prepared', id, captureEpoch: changes.epoch }
      }
      case 'mirror': return await this.#flowOf('mirror', cancel, async () => await this.#mirror(request, signal))
      case 'verify': return await this.#flowOf('verify', cancel, async () => await this.#verify(request, signal))
      case 'replicate': return await this.#flowOf('replicate', cancel, async () => await this.#replicate(request, signal))
      case 'drain': return await this.#flowOf('drain', cancel, async () => await this.#drain(request, signal))
      case 'barrier':
        await this.#replication.passed(signal)
        return { kind: 'passed', id }
      case 'queue': {
        const { count, oldestAtMs } = capture.current.changes.pending()
        return { kind: 'queued', id, queued: count, oldestMs: oldestAtMs === undefined ? 0 : Math.max(0, this.#options.clock.now() - oldestAtMs) }
      }
      case 'hold': return { kind: 'held', id, frozen: await capture.hold(request.forMs) }
      case 'thaw':
        return { kind: 'thawed', id, notes: [...await capture.thaw()] }
      case 'release':
        await this.#endFlow()
        if (request.completed === true) await capture.finish()
        await capture.release()
        return { kind: 'released', id }
      case 'power-off':
        await capture.finish()
        return { kind: 'powering-off', id }
      case 'workload': case 'passed': case 'queued': case 'prepared': case 'mirror-progress': case 'mirror-orphans': case 'mirror-complete': case 'verify-progress': case 'differences': case 'verify-complete': case 'replication-progress': case 'quiesce-note': case 'drained':
      case 'held': case 'thawed': case 'powering-off': case 'released': case 'failed': case 'cancelled':
        throw new AppError('FRAME_INVALID', `the appliance sent ${request.kind}, which only an agent sends`)
    }
  }

  async #mirror({ id, request, resume }: Extract<Request, { kind: 'mirror' }>, signal: AbortSignal): Promise<Answer> {
    const { volumes, rules, changes, count } = this.#options.capture.current
    const reports = new ReportSender<MirrorProgress>(async (progress, findings) => {
      await this.#tell({ kind: 'mirror-progress', id, progress, findings: [...findings] })
    })
    const replicated = this.#replication.reports(id)
    this.#replication.forget()
    try {
      const progress = await mirrorBesideReplication({
        volumes, rules, changes, stream: this.#stream, request, resume, clock: this.#options.clock, ratio: () => this.#ratio, keepsDeleted: () => this.#ignoresDeletes,
        report: (p, f) => { reports.report(p, f) }, reportReplication: (p, f) => { replicated.report(this.#replication.withState(p, count), f) },
        reportOrphans: async orphans => { await this.#tell({ kind: 'mirror-orphans', id, orphans: [...orphans] }) },
      }, signal)
      await Promise.all([reports.finish(), replicated.finish()])
      return { kind: 'mirror-complete', id, progress }
    } finally {
      await Promise.all([reports.finish(), replicated.finish()])
    }
  }

  async #verify({ id, request, roots }: Extract<Request, { kind: 'verify' }>, signal: AbortSignal): Promise<Answer> {
    const { volumes, rules } = this.#options.capture.current
    const reports = new ReportSender<VerifyProgress>(async progress => { await this.#tell({ kind: 'verify-progress', id, progress }) })
    try {
      const progress = await verifyVolumes({
        volumes, rules, roots: new Map(roots.map(({ volume, page }) => [volume, Buffer.from(page, 'base64')])), stream: this.#stream, by: request.by, clock: this.#options.clock,
        differences: async differences => { await this.#tell({ kind: 'differences', id, differences: [...differences] }) }, report: p => { reports.report(p, []) },
      }, signal)
      await reports.finish()
      return { kind: 'verify-complete', id, progress }
    } finally {
      await reports.finish()
    }
  }

  /** Goes on until it is cancelled. */
  async #replicate({ id }: Extract<Request, { kind: 'replicate' }>, signal: AbortSignal): Promise<Answer> {
    await this.#replication.reporting(id, 'replication', async replicator => { await replicator.run(signal) })
    return undefined
  }

  async #drain({ id, freeze, holdMs, quiesce }: Extract<Request, { kind: 'drain' }>, signal: AbortSignal): Promise<Answer> {
    const { capture } = this.#options
    const note = async (of: QuiesceNote): Promise<void> => { await this.#tell({ kind: 'quiesce-note', id, note: of }) }
    let stoppedAtMs: number | undefined
    try {
      const { changes, drainMs, frozenAtMs, progress } = await this.#replication.reporting(id, 'drain', async replicator =>
        await replicator.drain({
          ...(quiesce === undefined ? {} : { quiesce: async inner => { stoppedAtMs = await capture.quiesce(quiesce, note, inner) } }),
          ...(freeze ? { freeze: async inner => await capture.freeze(holdMs, inner) } : {}),
        }, signal))
      return { kind: 'drained', id, changes, drainMs, progress, ...(frozenAtMs === undefined ? {} : { frozenAtMs }), ...(stoppedAtMs === undefined ? {} : { stoppedAtMs }) }
    } catch (error) {
      for (const started of await capture.thaw()) if (!signal.aborted) await note(started)
      throw error
    }
  }

  async #flowOf(kind: Flow, cancel: AbortController, work: () => Promise<Answer>): Promise<Answer> {
    if (this.#flow !== undefined) throw new AppError('REQUEST_INVALID', `${kind} was asked for while ${this.#flow.kind} is under way`)
    const { promise: done, resolve } = Promise.withResolvers<undefined>()
    this.#flow = { kind, cancel, done }
    try {
      return await work()
    } finally {
      this.#flow = undefined
      resolve(undefined)
    }
  }

  /** Ends what is under way and waits until it sends nothing more. */
  async #endFlow(): Promise<void> {
    const flow = this.#flow
    flow?.cancel.abort()
    await flow?.done
  }

  #isOver(): boolean { return this.#life.signal.aborted }

  async #tell(control: Control): Promise<void> {
    await this.#link.send({ type: 'control', control }, this.#life.signal)
  }
}

function isRequest(control: Control): control is Request {
  return 'id' in control && control.kind !== 'cancel'
}

/** @throws {AppError} with the appliance's code when it refuses, FRAME_INVALID when it says something else */
function welcomed(control: Control): void {
  if (control.kind === 'welcome') return
  if (control.kind === 'refuse') throw new AppError(knownCode(control.code), `the appliance refuses this agent: ${control.message}`)
  throw new AppError('FRAME_INVALID', `the appliance answered the greeting with ${control.kind}`)
}

function knownCode(code: string): ErrorCode {
  return code in CODES ? code as ErrorCode : 'INTERNAL'
}
