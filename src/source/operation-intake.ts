/**
 * Takes the operations of one mirror, replication or drain from a link and has them applied and acknowledged. It keeps a bounded queue
 * before the applier, so that requests behind the operations are seen while those are being applied. After a failure it drops what still
 * comes, so that the agent can be told to stop and the connection stays usable.
 */
import { createApplier, type Applier, type ApplierOptions } from '../replication/applier.ts'
import type { Link } from '../wire/link.ts'
import type { Message } from '../wire/messages.ts'

type Operations = Extract<Message, { type: 'operations' }>

/** beside the link's own window: a queue of a few batches keeps the applier busy */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024
/** what a message costs beside its bytes: one that holds nothing is not free */
const MESSAGE_BYTES = 1024

export class OperationIntake implements AsyncDisposable {
  readonly #link: Link
  readonly #applier: Applier
  /** sequences before this intake's first one: the applier counts from 1 */
  readonly #base: number
  readonly #failure = new AbortController()
  readonly #stop = new AbortController()
  readonly #acknowledging: Promise<void>
  #queued: Operations[] = []
  #queuedBytes = 0
  #applying: Promise<void> | undefined
  #room: (() => void) | undefined
  /** sequences, as they came: of the last taken, and of the last applied */
  #taken = 0
  #applied = 0
  #progress: (() => void) | undefined
  /** what was taken when a flush was asked for; undefined when none is */
  #flushAsked: number | undefined
  #flushing: Promise<void> | undefined

  constructor(link: Link, options: ApplierOptions, lastSequence: number) {
    this.#link = link
    this.#applier = createApplier(options)
    this.#base = lastSequence
    this.#acknowledging = this.#acknowledge()
  }

  /** aborted, with the error, when something could not be applied, flushed or acknowledged */
  get failed(): AbortSignal { return this.#failure.signal }

  /** Takes operations over; resolves when there is room for more. One caller at a time. */
  async put(operations: Operations): Promise<void> {
    if (this.#failure.signal.aborted) return
    this.#queued.push(operations)
    this.#taken = operations.sequence
    this.#queuedBytes += operations.batch.length + MESSAGE_BYTES
    this.#applying ??= this.#applyAll()
    if (this.#queuedBytes > MAX_QUEUED_BYTES) await new Promise<void>(resolve => { this.#room = resolve })
  }

  /** The agent waits for what it has sent so far to be durable: flushes behind it, and is told by an acknowledgement. However often it asks, one flush runs at a time. */
  flush(): void {
    this.#flushAsked = this.#taken
    this.#flushing ??= this.#flushAsAsked()
  }

  /** Everything taken is applied and flushed when it resolves. @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE, FRAME_INVALID */
  async finish(): Promise<void> {
    await this.#applying
    if (!this.#failure.signal.aborted) {
      try {
        await this.#applier.flush(this.#stop.signal)
      } catch (error) {
        this.#failure.abort(error)
      }
    }
    this.#failure.signal.throwIfAborted()
  }

  /** Stops after the batch that is being applied. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#drop()
    await this.#applying
    await this.#flushing
    await this.#acknowledging
    await this.#applier[Symbol.asyncDispose]()
  }

  /** Never rejects: a failure is in `failed`. */
  async #applyAll(): Promise<void> {
    await Promise.resolve() // so that #applying is set before it is taken away
    try {
      for (let next = this.#queued.shift(); next !== undefined; next = this.#queued.shift()) {
        this.#queuedBytes -= next.batch.length + MESSAGE_BYTES
        if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.#room?.()
        await this.#applier.apply(next.sequence - this.#base, next.volume, next.batch, this.#stop.signal, this.#queued.length > 0)
        this.#link.reuse(next.batch)
        this.#applied = next.sequence
        this.#progress?.()
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure.abort(error)
      this.#drop()
    } finally {
      this.#applying = undefined
      this.#progress?.()
    }
  }

  /** Never rejects: a failure is in `failed`. */
  async #flushAsAsked(): Promise<void> {
    await Promise.resolve() // so that #flushing is set before it is taken away
    try {
      while (this.#flushAsked !== undefined && !this.#failure.signal.aborted) {
        // what comes later is not waited for: there may be no end to it
        const upTo = this.#flushAsked
        this.#flushAsked = undefined
        while (this.#applying !== undefined && this.#applied < upTo) await new Promise<void>(resolve => { this.#progress = resolve })
        await this.#applier.flush(this.#stop.signal)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure.abort(error)
    } finally {
      this.#flushing = undefined
    }
  }

  #drop(): void {
    this.#queued = []
    this.#queuedBytes = 0
    this.#room?.()
  }

  /** Never rejects: a failure is in `failed`. */
  async #acknowledge(): Promise<void> {
    try {
      for (;;) {
        const { applied, durable, failures } = await this.#applier.nextAcknowledgement(this.#stop.signal)
        await this.#link.send({ type: 'control', control: {
          kind: 'acknowledge', applied: applied + this.#base, durable: durable + this.#base,
          failures: failures.map(failure => ({ ...failure, sequence: failure.sequence + this.#base })),
        } }, this.#stop.signal)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failure.abort(error)
    }
  }
}
