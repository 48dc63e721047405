/**
 * What has arrived on a link and was not taken yet: bounded by the credit that the peer was given, handed out in order, once. Credit for
 * a message goes back when the consumer asks for the next one.
 */
import { AppError } from '../errors/app-error.ts'
import { invalid } from './byte-reader.ts'
import { CONTROL_WINDOW_BYTES, creditClassOf, DATA_WINDOW_BYTES, type CreditClass } from './credit.ts'
import type { Message } from './messages.ts'

interface Arrived { message: Message, sizeBytes: number }
type End = { kind: 'orderly' } | { kind: 'failed', error: Error }

export class Inbox {
  readonly #giveBack: (credit: CreditClass, bytes: number) => void
  #arrived: Arrived[] = []
  #taken: Arrived[] = []
  readonly #heldBytes = { data: 0, control: 0 }
  #end: End | undefined
  #wake: (() => void) | undefined
  #receiving = false

  constructor(giveBack: (credit: CreditClass, bytes: number) => void) {
    this.#giveBack = giveBack
  }

  /** @throws {AppError} FRAME_INVALID when the peer has sent more than its credit */
  put(message: Message, sizeBytes: number): void {
    if (this.#end !== undefined) return
    const credit = creditClassOf(message)
    this.#heldBytes[credit] += sizeBytes
    if (this.#heldBytes[credit] > (credit === 'data' ? DATA_WINDOW_BYTES : CONTROL_WINDOW_BYTES)) throw invalid('more bytes than it was given credit for')
    this.#arrived.push({ message, sizeBytes })
    this.#wake?.()
  }

  /** Nothing more will arrive: `receive` ends behind what is there, or throws the error then. The first call counts. */
  end(end: End): void {
    this.#end ??= end
    this.#wake?.()
  }

  async* receive(): AsyncGenerator<Message, void, void> {
    if (this.#receiving) throw new AppError('INTERNAL', 'the messages of a link can be received once')
    this.#receiving = true
    for (;;) {
      const next = this.#next()
      if (next !== undefined) {
        yield next.message
        const credit = creditClassOf(next.message)
        this.#heldBytes[credit] -= next.sizeBytes
        this.#giveBack(credit, next.sizeBytes)
      } else if (this.#end !== undefined) {
        if (this.#end.kind === 'failed') throw this.#end.error
        return
      } else {
        await new Promise<void>(resolve => { this.#wake = resolve })
        this.#wake = undefined
      }
    }
  }

  /** Two arrays, one filled and one emptied, so that taking from the front is cheap however many there are. */
  #next(): Arrived | undefined {
    if (this.#taken.length === 0 && this.#arrived.length > 0) {
      this.#taken = this.#arrived.reverse()
      this.#arrived = []
    }
    return this.#taken.pop()
  }
}
