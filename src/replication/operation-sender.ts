/** Collects operations of one volume, in order, into batches worth sending. */
import type { FileOperation } from '../domain/file-operation.ts'
import { outgoingBodies } from '../wire/body-pool.ts'
import { encodeOperation, joinBatches, keptOperations, type OperationBatch } from '../wire/operation-codec.ts'
import type { OperationStream } from '../wire/operation-stream.ts'

/** From this size on a batch goes out. */
const FULL_BYTES = 256 * 1024

export class OperationSender {
  readonly #stream: OperationStream
  readonly #volume: number
  readonly #keepsDeleted: boolean
  #waiting: OperationBatch[] = []
  #bytes = 0

  /** @param keepsDeleted whether names that vanish are left on the replica */
  constructor(stream: OperationStream, volume: number, keepsDeleted = false) {
    this.#keepsDeleted = keepsDeleted
    this.#stream = stream
    this.#volume = volume
  }

  /** Takes the batch over. @throws {AppError} LINK_LOST */
  async add(batch: OperationBatch | undefined, signal: AbortSignal): Promise<void> {
    if (batch === undefined) return
    await this.#put(this.#keepsDeleted ? keptOperations(batch, kind => kind !== 'remove') : batch, signal)
  }

  /** Adds one operation, whatever it is: also a removal that makes room for what comes next. @throws {AppError} LINK_LOST */
  async operation(operation: FileOperation, signal: AbortSignal): Promise<void> {
    await this.#put(encodeOperation(operation), signal)
  }

  /** Adds an operation that takes away what the source has not. @throws {AppError} LINK_LOST */
  async deletion(operation: FileOperation, signal: AbortSignal): Promise<void> {
    if (!this.#keepsDeleted) await this.operation(operation, signal)
  }

  async #put(batch: OperationBatch, signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    if (this.#bytes + batch.length > FULL_BYTES) await this.flush(signal)
    this.#waiting.push(batch)
    this.#bytes += batch.length
    if (this.#bytes >= FULL_BYTES) await this.flush(signal)
  }

  /** Everything added is on its way when this resolves. @throws {AppError} LINK_LOST */
  async flush(signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting
    const [first] = waiting
    this.#waiting = []
    this.#bytes = 0
    if (first === undefined) return
    const body = waiting.length === 1 ? first : joinBatches(waiting)
    // what was copied together is not needed any more
    if (body !== first) for (const batch of waiting) outgoingBodies.giveBack(batch)
    await this.#stream.send(this.#volume, body, signal)
  }

  /** Everything added is applied when this resolves, so that a question to the replica sees it. @throws {AppError} LINK_LOST */
  async applied(signal: AbortSignal): Promise<void> {
    await this.flush(signal)
    await this.#stream.whenApplied(this.#stream.sent, signal)
  }
}
