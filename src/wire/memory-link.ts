/** Two ends of a Link inside one process, with the credit and the limits of the real one. */
import { AppError } from '../errors/app-error.ts'
import { Credit, CONTROL_WINDOW_BYTES, creditClassOf, DATA_WINDOW_BYTES, type CreditClass } from './credit.ts'
import { Inbox } from './inbox.ts'
import { MAX_PIECE_BYTES } from './limits.ts'
import type { Link } from './link.ts'
import { encodeMessage } from './message-codec.ts'
import type { Message } from './messages.ts'

export interface MemoryLinkPair {
  agent: Link
  appliance: Link
  /** Ends both sides as a cut cable does. */
  cut(): void
}

export function memoryLinkPair(): MemoryLinkPair {
  const agent = new MemoryLink()
  const appliance = new MemoryLink()
  agent.peer = appliance
  appliance.peer = agent
  return {
    agent, appliance,
    cut: () => {
      agent.lose()
      appliance.lose()
    },
  }
}

class MemoryLink implements Link {
  peer: MemoryLink | undefined
  readonly pieceBytes = MAX_PIECE_BYTES
  bytesSent = 0
  bytesReceived = 0
  readonly #credit: Record<CreditClass, Credit> = { data: new Credit(DATA_WINDOW_BYTES), control: new Credit(CONTROL_WINDOW_BYTES) }
  readonly #inbox = new Inbox((credit, bytes) => { this.peer?.repaid(credit, bytes) })
  #ended = false

  async send(message: Message, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { sizeBytes } = encodeMessage(message)
    await this.#credit[creditClassOf(message)].take(sizeBytes, signal)
    this.bytesSent += sizeBytes
    this.peer?.arrived(message, sizeBytes)
  }

  get bytesSentPacked(): number { return this.bytesSent }

  transmit(): void {
    // nothing is between its ends that could be slow
  }

  receive(): AsyncIterable<Message> { return this.#inbox.receive() }

  reuse(): void {
    // its buffers are the sender's
  }

  lose(): void {
    this.#close()
    this.#inbox.end({ kind: 'failed', error: new AppError('LINK_LOST', 'the connection was cut') })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    this.finish()
    this.peer?.finish()
  }

  arrived(message: Message, sizeBytes: number): void {
    this.bytesReceived += sizeBytes
    this.#inbox.put(message, sizeBytes)
  }

  repaid(credit: CreditClass, bytes: number): void { this.#credit[credit].give(bytes) }

  finish(): void {
    this.#close()
    this.#inbox.end({ kind: 'orderly' })
  }

  #close(): void {
    this.#ended = true
    const error = new AppError('LINK_LOST', 'the connection has ended')
    this.#credit.data.fail(error)
    this.#credit.control.fail(error)
  }
}
