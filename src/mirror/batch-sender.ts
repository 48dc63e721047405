/** Collects small batches of one volume into frames worth sending, in order. */
import type { OperationStream } from '../wire/operation-stream.ts'
import { joinBatches, type OperationBatch } from '../wire/operation-codec.ts'

/** Batches from this size on go out as they are, without copying. */
const FULL_BYTES = 256 * 1024

export class BatchSender {
  readonly #stream: OperationStream
  readonly #volume: number
  #pending: OperationBatch[] = []
  #bytes = 0
  /** sequence of the last batch that went out */
  sequence = 0

  constructor(stream: OperationStream, volume: number) {
    this.#stream = stream
    this.#volume = volume
  }

  /** Takes the batch over. */
  async add(batch: OperationBatch, signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    this.#pending.push(batch)
    this.#bytes += batch.length
    if (this.#bytes >= FULL_BYTES) await this.flush(signal)
  }

  /** Everything added is handed to the stream when this resolves. */
  async flush(signal: AbortSignal): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    this.#bytes = 0
    const last = pending.at(-1)
    if (last === undefined) return
    if (pending.length > 1 && last.length >= FULL_BYTES) {
      await this.#send(pending.slice(0, -1), signal)
      await this.#send([last], signal)
    } else {
      await this.#send(pending, signal)
    }
  }

  async #send(batches: readonly OperationBatch[], signal: AbortSignal): Promise<void> {
    const [first] = batches
    if (first === undefined) return
    const batch = batches.length === 1 ? first : joinBatches(batches)
    this.sequence = await this.#stream.send(this.#volume, batch, signal)
  }
}
