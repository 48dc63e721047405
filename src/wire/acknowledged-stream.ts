/** OperationStream over a Link. The session that owns the link hands in what arrives for it; nothing here ever holds up receiving. */
import type { RelPath } from '../domain/rel-path.ts'
import { invalid } from './byte-reader.ts'
import { Credit, LIST_WINDOW_BYTES } from './credit.ts'
import type { Link } from './link.ts'
import type { DirectoryDigest } from './listing-codec.ts'
import type { AppliedFailure, Control, Message } from './messages.ts'
import type { OperationBatch } from './operation-codec.ts'
import { MAX_LISTED_DIRECTORIES, MAX_OPEN_REQUESTS, type OperationStream, type ReplicaListing } from './operation-stream.ts'

type Acknowledge = Extract<Control, { kind: 'acknowledge' }>
type Listing = Extract<Message, { type: 'listing' }>
type Answer = Extract<Message, { type: 'hashes' | 'same' }>

const REQUEST_IDS = 2 ** 32

interface Waiter { what: 'applied' | 'durable', sequence: number, resolve: () => void, reject: (error: Error) => void }
interface OpenList { pages: Listing[], directories: number, ended: number, abandoned: boolean, complete: boolean, takenBytes: number, wake: (() => void) | undefined }
/** A question that one message answers; `lengthBytes` when it is known how long the answer must be. */
interface OpenQuestion { answer: Answer['type'], lengthBytes: number | undefined, resolve: (answer: Buffer) => void, reject: (error: Error) => void }

export class AcknowledgedStream implements OperationStream {
  readonly #link: Link
  #sent = 0
  #applied = 0
  #durable = 0
  #failures: AppliedFailure[] = []
  #waiters: Waiter[] = []
  #request = 0
  readonly #lists = new Map<number, OpenList>()
  readonly #questions = new Map<number, OpenQuestion>()
  /** one sender at a time: sequences have no gaps though a sender may give up */
  readonly #turn = new Credit(1)
  readonly #open = new Credit(MAX_OPEN_REQUESTS)
  readonly #life = new AbortController()
  #failure: Error | undefined

  constructor(link: Link) {
    this.#link = link
  }

  get sent(): number { return this.#sent }
  get applied(): number { return this.#applied }
  get durable(): number { return this.#durable }
  get pieceBytes(): number { return this.#link.pieceBytes }
  get bytesSent(): number { return this.#link.bytesSent }
  get bytesSentPacked(): number { return this.#link.bytesSentPacked }

  async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (batch.length === 0) return this.#sent
    await this.#turn.take(1, signal)
    try {
      // counted before it is handed over: the acknowledgement may be here before `send` resolves
      const sequence = ++this.#sent
      try {
        await this.#link.send({ type: 'operations', volume, sequence, batch }, signal)
      } catch (error) {
        this.#sent--
        throw error
      }
      return sequence
    } finally {
      this.#turn.give(1)
    }
  }

  async whenApplied(sequence: number, signal: AbortSignal): Promise<void> { await this.#when('applied', sequence, signal) }
  async whenDurable(sequence: number, signal: AbortSignal): Promise<void> { await this.#when('durable', sequence, signal) }

  async requestFlush(signal: AbortSignal): Promise<void> { await this.#link.send({ type: 'control', control: { kind: 'flush' } }, signal) }

  takeFailures(): readonly AppliedFailure[] {
    const failures = this.#failures
    this.#failures = []
    return failures
  }

  async* list(volume: number, directories: readonly RelPath[], signal: AbortSignal): AsyncGenerator<ReplicaListing, void, void> {
    if (directories.length === 0) return
    if (directories.length > MAX_LISTED_DIRECTORIES) throw new RangeError(`a list of ${String(directories.length)} directories`)
    await this.#open.take(1, signal)
    const request = this.#nextRequest()
    const list: OpenList = { pages: [], directories: directories.length, ended: 0, abandoned: false, complete: false, takenBytes: 0, wake: undefined }
    this.#lists.set(request, list)
    try {
      await this.#link.send({ type: 'list', volume, request, directories }, signal)
    } catch (error) {
      this.#lists.delete(request)
      this.#open.give(1)
      throw error
    }
    try {
      for (let given = 0; given < directories.length;) {
        const page = await this.#nextPage(list, signal)
        await this.#taken(request, list, page.page.length)
        if (page.last) given++
        yield { directory: page.directory, page: page.page, last: page.last }
      }
    } finally {
      await this.#abandon(request, list)
    }
  }

  async hashes(volume: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#ask('hashes', undefined, request => ({ type: 'hash', volume, request, path, offset, lengthBytes, blockBytes }), signal)
  }

  async same(volume: number, directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> {
    return await this.#ask('same', directories.length, request => ({ type: 'digests', volume, request, directories }), signal)
  }

  async #ask(answer: Answer['type'], lengthBytes: number | undefined, question: (request: number) => Message, signal: AbortSignal): Promise<Buffer> {
    await this.#open.take(1, signal)
    const request = this.#nextRequest()
    const stop = new AbortController()
    try {
      const answered = new Promise<Buffer>((resolve, reject) => { this.#questions.set(request, { answer, lengthBytes, resolve, reject }) })
      answered.catch(() => undefined) // also rejected when nobody waits any more
      await this.#link.send(question(request), signal)
      return await Promise.race([answered, aborted(signal, stop.signal)])
    } catch (error) {
      // the answer may still come: the slot stays taken until then
      if (!signal.aborted) this.#endQuestion(request)
      throw error
    } finally {
      stop.abort()
    }
  }

  /** The peer's acknowledgement. @throws {AppError} FRAME_INVALID when it goes back or beyond what was sent */
  acknowledge({ applied, durable, failures }: Acknowledge): void {
    if (applied > this.#sent || durable > applied || applied < this.#applied || durable < this.#durable) throw invalid('an acknowledgement of what was not sent')
    for (const failure of failures) this.#failures.push(failure)
    this.#applied = applied
    this.#durable = durable
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (this.#reached(waiter.what, waiter.sequence)) waiter.resolve()
      else this.#waiters.push(waiter)
    }
  }

  /** A page that the peer sent. @throws {AppError} FRAME_INVALID when it was not asked for */
  listing(message: Listing): void {
    const list = this.#lists.get(message.request)
    if (list === undefined || message.directory !== list.ended) throw invalid('a listing that was not asked for')
    if (message.last) list.ended++
    if (list.ended === list.directories) {
      list.complete = true
      this.#lists.delete(message.request)
      this.#open.give(1)
    }
    if (!list.abandoned) {
      list.pages.push(message)
      list.wake?.()
    } else if (!list.complete) {
      void this.#taken(message.request, list, message.page.length)
    }
  }

  /** An answer that the peer sent. @throws {AppError} FRAME_INVALID when it was not asked for, or answers something else */
  answered(message: Answer): void {
    const open = this.#questions.get(message.request)
    const answer = message.type === 'hashes' ? message.hashes : message.same
    if (open?.answer !== message.type || (open.lengthBytes ?? answer.length) !== answer.length) throw invalid(`${message.type} that were not asked for`)
    this.#endQuestion(message.request)
    open.resolve(answer)
  }

  /** The link has ended: everybody who waits gets the error. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#life.abort(error)
    this.#turn.fail(error)
    this.#open.fail(error)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
    for (const open of this.#questions.values()) open.reject(error)
    for (const list of this.#lists.values()) list.wake?.()
  }

  #nextRequest(): number {
    this.#request = (this.#request + 1) % REQUEST_IDS
    return this.#request
  }

  #endQuestion(request: number): void {
    if (this.#questions.delete(request)) this.#open.give(1)
  }

  #reached(what: Waiter['what'], sequence: number): boolean {
    return (what === 'applied' ? this.#applied : this.#durable) >= sequence
  }

  async #when(what: Waiter['what'], sequence: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#reached(what, sequence)) return
    if (this.#failure !== undefined) throw this.#failure
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiters = this.#waiters.filter(other => other !== waiter)
        reject(signal.reason as Error)
      }
      const leave = (): void => { signal.removeEventListener('abort', stop) }
      const waiter: Waiter = { what, sequence, resolve: () => { leave(); resolve() }, reject: error => { leave(); reject(error) } }
      this.#waiters.push(waiter)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  async #nextPage(list: OpenList, signal: AbortSignal): Promise<Listing> {
    for (;;) {
      const page = list.pages.shift()
      if (page !== undefined) return page
      signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>(resolve => {
        const go = (): void => {
          signal.removeEventListener('abort', go)
          list.wake = undefined
          resolve()
        }
        list.wake = go
        signal.addEventListener('abort', go, { once: true })
      })
    }
  }

  /** Tells the peer now and then how much was taken, as long as it has more to send. Never fails: a lost link shows elsewhere. */
  async #taken(request: number, list: OpenList, bytes: number): Promise<void> {
    list.takenBytes += bytes
    if (list.complete || list.takenBytes < LIST_WINDOW_BYTES / 2) return
    const taken = list.takenBytes
    list.takenBytes = 0
    try {
      await this.#link.send({ type: 'control', control: { kind: 'listed', request, bytes: taken } }, this.#life.signal)
    } catch (error) {
      this.fail(error as Error)
    }
  }

  /** What still comes is dropped as it comes. */
  async #abandon(request: number, list: OpenList): Promise<void> {
    list.abandoned = true
    let bytes = 0
    for (const page of list.pages.splice(0)) bytes += page.page.length
    if (!list.complete) await this.#taken(request, list, bytes)
  }
}

/** Rejects when `signal` aborts; never settles otherwise. `done` takes the listener away. */
async function aborted(signal: AbortSignal, done: AbortSignal): Promise<never> {
  return await new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true, signal: done })
  })
}
