/**
 * The appliance's end of the operation stream: applies batches in order to the volumes' target trees and decides when to flush. It
 * promises that `durable` in an acknowledgement was flushed, and that an operation that failed is reported, never forgotten. It does not
 * know jobs or links.
 *
 * Flushing costs the stream, so it happens when the stream pauses, and at the latest after so many bytes or so long, or when it is asked for.
 */
import type { Clock } from '../clock/clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { ApplyFailure, TargetTree } from '../tree/target-tree.ts'
import { MAX_REFUSED_CHARACTERS, type AppliedFailure } from '../wire/messages.ts'
import type { OperationBatch } from '../wire/operation-codec.ts'
import { AcknowledgementLedger, type Acknowledgement } from './acknowledgement.ts'

export interface Applier extends AsyncDisposable {
  /**
   * Applies the batch; resolves when it is applied. Sequences must come in order without gaps. `more`: another one waits, and the sender may be
   * told of this one together with it.
   * @throws {AppError} FRAME_INVALID for a gap, an unknown volume or bytes that are no operations; REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE
   */
  apply(sequence: number, volume: number, batch: OperationBatch, signal: AbortSignal, more?: boolean): Promise<void>
  /** Makes all that is applied durable. */
  flush(signal: AbortSignal): Promise<void>
  /** The next thing to tell the sender; rejects when a flush failed. One caller at a time. */
  nextAcknowledgement(signal: AbortSignal): Promise<Acknowledgement>
}

export interface ApplierOptions {
  targets: ReadonlyMap<number, TargetTree>
  clock: Clock
  /** flush when nothing arrived for so long */
  idleMs?: number
  /** flush at the latest after so long */
  maxDelayMs?: number
  /** flush at the latest after so many bytes */
  maxBytes?: number
}

const IDLE_MS = 20
const MAX_DELAY_MS = 5000
/**
 * What is written while more arrives need not be waited for at the end: a first mirror of small files is a twentieth faster than with eight times as
 * much (npm run bench -- mirror --works small), and less has to be sent again after a power loss.
 */
const MAX_BYTES = 64 * 1024 * 1024

/** Makes the applier for one connection; sequences start at 1. Disposal stops its timer and flushes nothing. */
export function createApplier(options: ApplierOptions): Applier {
  return new FlushingApplier(options)
}

class FlushingApplier implements Applier {
  readonly #targets: ReadonlyMap<number, TargetTree>
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #maxDelayMs: number
  readonly #maxBytes: number
  readonly #ledger = new AcknowledgementLedger()
  readonly #stop = new AbortController()
  readonly #dirty = new Set<TargetTree>()
  #sequence = 0
  #lastApplyMs = 0
  #firstDirtyMs = 0
  #dirtyBytes = 0
  #flusher: Promise<void> | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(options: ApplierOptions) {
    this.#targets = options.targets
    this.#clock = options.clock
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#maxDelayMs = options.maxDelayMs ?? MAX_DELAY_MS
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
  }

  async apply(sequence: number, volume: number, batch: OperationBatch, signal: AbortSignal, more = false): Promise<void> {
    signal.throwIfAborted()
    if (sequence !== this.#sequence + 1) throw new AppError('FRAME_INVALID', `operations ${String(sequence)} came after ${String(this.#sequence)}`)
    const target = this.#targets.get(volume)
    if (target === undefined) throw new AppError('FRAME_INVALID', `operations for volume ${String(volume)}, which is not part of this job`)
    await this.#ledger.whenRoom(signal)
    const result = await target.apply(batch, signal)
    // only now: a flush that ran meanwhile did not cover all of this batch
    if (this.#dirty.size === 0) { this.#firstDirtyMs = this.#clock.now(); this.#dirtyBytes = 0 }
    this.#dirty.add(target)
    this.#sequence = sequence
    this.#dirtyBytes += result.bytesWritten
    this.#lastApplyMs = this.#clock.now()
    this.#ledger.noteApplied(sequence, result.failures.map(failure => applied(failure, sequence, volume)), more)
    this.#flusher ??= this.#flushWhenDue()
  }

  async flush(signal: AbortSignal): Promise<void> {
    // one flush at a time, so that durable never overtakes a flush that still runs
    const mine = this.#flushing.catch(() => undefined).then(async () => { await this.#flushNow(signal) })
    this.#flushing = mine
    await mine
  }

  async nextAcknowledgement(signal: AbortSignal): Promise<Acknowledgement> {
    return await this.#ledger.next(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#flusher
    await this.#flushing.catch(() => undefined)
  }

  async #flushNow(signal: AbortSignal): Promise<void> {
    const upTo = this.#sequence
    const trees = [...this.#dirty]
    this.#dirty.clear()
    try {
      await Promise.all(trees.map(async tree => { await tree.flush(signal) }))
    } catch (error) {
      for (const tree of trees) this.#dirty.add(tree)
      throw error
    }
    this.#ledger.noteDurable(upTo)
  }

  /** Runs while something is not flushed. A failed flush ends the acknowledgements: nothing may be believed after it. */
  async #flushWhenDue(): Promise<void> {
    try {
      while (this.#ledger.durable < this.#sequence) {
        const now = this.#clock.now()
        const idle = now - this.#lastApplyMs >= this.#idleMs
        if (idle || now - this.#firstDirtyMs >= this.#maxDelayMs || this.#dirtyBytes >= this.#maxBytes) await this.flush(this.#stop.signal)
        else await this.#clock.sleep(this.#idleMs, this.#stop.signal)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#ledger.fail(error instanceof Error ? error : new AppError('REPLICA_WRITE', String(error)))
    } finally {
      this.#flusher = undefined
    }
  }
}

function applied(failure: ApplyFailure, sequence: number, volume: number): AppliedFailure {
  return { sequence, volume, index: failure.index, operation: failure.kind, path: failure.path.toString('base64'), errno: failure.errno, what: failure.what.slice(0, MAX_REFUSED_CHARACTERS), partial: failure.partial }
}
