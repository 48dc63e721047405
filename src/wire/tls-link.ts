/**
 * A Link over a TLS connection whose peer is already authenticated. It reads all the time (what it holds is bounded by the credit that it
 * gave), so that credit and signs of life are seen however slow the consumer is. Both ends say `alive` when they have nothing else to
 * say; a peer that is silent for too long is given up. Buffers of messages are written as they are; Node's TLS copies them once.
 */
import type { TLSSocket } from 'node:tls'
import { AppError } from '../errors/app-error.ts'
import { invalid } from './byte-reader.ts'
import { Credit, CONTROL_WINDOW_BYTES, creditClassOf, DATA_WINDOW_BYTES, type CreditClass } from './credit.ts'
import { encodeFrameHead, FrameParser, HEADER_BYTES, type Frame } from './frame.ts'
import { Inbox } from './inbox.ts'
import type { Link } from './link.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import type { Message } from './messages.ts'
import { noteGarbage } from './young-garbage.ts'

export interface TlsLinkOptions {
  /** how long the peer may be silent before it is given up */
  idleMs: number
}

export const DEFAULT_IDLE_MS = 30_000
/** `send` holds the sender back while more than this waits for the network */
const HIGH_WATER_BYTES = 2 * 1024 * 1024
/** how long an orderly end may take before the connection is cut */
const CLOSE_MS = 2000
/** a sign of life is due after this many silent ticks, the peer is lost after three times as many */
const TICKS_TO_ALIVE = 3

const NOTHING = Buffer.alloc(0)

/** Takes the connection over; it is closed when the link is disposed or fails. */
export function tlsLink(socket: TLSSocket, options: TlsLinkOptions = { idleMs: DEFAULT_IDLE_MS }): Link {
  return new TlsLink(socket, options)
}

class TlsLink implements Link {
  bytesSent = 0
  readonly #socket: TLSSocket
  readonly #parser = new FrameParser()
  readonly #credit: Record<CreditClass, Credit> = { data: new Credit(DATA_WINDOW_BYTES), control: new Credit(CONTROL_WINDOW_BYTES) }
  readonly #owed: Record<CreditClass, number> = { data: 0, control: 0 }
  readonly #inbox = new Inbox((credit, bytes) => { this.#giveBack(credit, bytes) })
  readonly #timer: NodeJS.Timeout
  readonly #idleMs: number
  #unwrittenBytes = 0
  #waitingForDrain: (() => void)[] = []
  #ended = false
  #ticksSinceReceived = 0
  #ticksSinceSent = 0

  constructor(socket: TLSSocket, { idleMs }: TlsLinkOptions) {
    this.#socket = socket
    this.#idleMs = idleMs
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => { this.#receive(chunk) })
    socket.on('end', () => { this.#lose('the peer ended the connection in the middle') })
    socket.on('error', (error: Error & { code?: string }) => { this.#fail(lossOf(error)) })
    socket.on('close', () => { this.#lose('the connection was closed') })
    this.#timer = setInterval(() => { this.#tick() }, idleMs / (3 * TICKS_TO_ALIVE))
    this.#timer.unref()
    if (socket.destroyed) this.#lose('the connection was closed')
  }

  async send(message: Message, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { head, body, sizeBytes } = encodeMessage(message)
    await this.#credit[creditClassOf(message)].take(sizeBytes, signal)
    this.#write(head, body)
    while (this.#unwrittenBytes > HIGH_WATER_BYTES && !signal.aborted && !this.#ended) await this.#drained(signal)
  }

  receive(): AsyncIterable<Message> { return this.#inbox.receive() }

  reuse(buffer: Buffer): void { this.#parser.reuse(buffer) }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      this.#write(encodeFrameHead('bye', 0, NOTHING, NOTHING), NOTHING)
      this.#finish()
    }
    await this.#closed()
  }

  /** Ends orderly; what was written still goes out. */
  #finish(): void {
    this.#end()
    this.#inbox.end({ kind: 'orderly' })
    this.#socket.end()
  }

  #lose(what: string): void {
    if (!this.#ended) this.#fail(new AppError('LINK_LOST', `the connection to the peer was lost: ${what}`))
  }

  #fail(error: Error): void {
    this.#end()
    this.#inbox.end({ kind: 'failed', error })
    this.#socket.destroy()
  }

  #end(): void {
    this.#ended = true
    clearInterval(this.#timer)
    const error = new AppError('LINK_LOST', 'the connection to the peer has ended')
    this.#credit.data.fail(error)
    this.#credit.control.fail(error)
    for (const go of this.#waitingForDrain.splice(0)) go()
  }

  #receive(chunk: Buffer): void {
    this.#ticksSinceReceived = 0
    if (this.#ended) return
    noteGarbage(chunk.length)
    try {
      for (const frame of this.#parser.push(chunk)) {
        if (!this.#take(frame)) return
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#fail(error)
    }
  }

  /** @returns whether the link goes on */
  #take(frame: Frame): boolean {
    switch (frame.type) {
      case 'credit': {
        const { body } = frame
        if (body.length !== 8 || !this.#credit.data.give(body.readUInt32LE(0)) || !this.#credit.control.give(body.readUInt32LE(4))) throw invalid('credit for more than was sent')
        return true
      }
      case 'alive':
        return true
      case 'bye':
        this.#finish()
        return false
      case 'control': case 'operations': case 'list': case 'listing': case 'hash': case 'hashes': case 'digests': case 'same':
        this.#inbox.put(decodeMessage(frame), HEADER_BYTES + frame.body.length)
        return true
    }
  }

  /** Credit goes back in quarters of a window: seldom, and early enough that the largest frame always fits. */
  #giveBack(credit: CreditClass, bytes: number): void {
    this.#owed[credit] += bytes
    if (this.#ended || (this.#owed.data < DATA_WINDOW_BYTES / 4 && this.#owed.control < CONTROL_WINDOW_BYTES / 4)) return
    const body = Buffer.allocUnsafe(8)
    body.writeUInt32LE(this.#owed.data, 0)
    body.writeUInt32LE(this.#owed.control, 4)
    this.#owed.data = 0
    this.#owed.control = 0
    this.#write(encodeFrameHead('credit', 0, body, NOTHING), NOTHING)
  }

  #write(head: Buffer, body: Buffer): void {
    if (this.#ended) throw new AppError('LINK_LOST', 'the connection to the peer has ended')
    const sizeBytes = head.length + body.length
    this.bytesSent += sizeBytes
    this.#unwrittenBytes += sizeBytes
    noteGarbage(sizeBytes)
    this.#ticksSinceSent = 0
    const written = (): void => {
      this.#unwrittenBytes -= sizeBytes
      if (this.#unwrittenBytes <= HIGH_WATER_BYTES) for (const go of this.#waitingForDrain.splice(0)) go()
    }
    if (body.length === 0) {
      this.#socket.write(head, written)
      return
    }
    this.#socket.cork()
    this.#socket.write(head)
    this.#socket.write(body, written)
    this.#socket.uncork()
  }

  async #drained(signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      const go = (): void => {
        signal.removeEventListener('abort', go)
        resolve()
      }
      signal.addEventListener('abort', go, { once: true })
      this.#waitingForDrain.push(go)
    })
  }

  /**
   * Silence is counted in ticks, not in time: when this process was stopped or busy for long, only one tick has passed and what the peer
   * sent meanwhile is read before the next one.
   */
  #tick(): void {
    this.#ticksSinceReceived++
    this.#ticksSinceSent++
    if (this.#ticksSinceReceived > 3 * TICKS_TO_ALIVE) this.#lose(`nothing was heard for ${String(this.#idleMs)} ms`)
    else if (this.#ticksSinceSent >= TICKS_TO_ALIVE && this.#unwrittenBytes === 0) this.#write(encodeFrameHead('alive', 0, NOTHING, NOTHING), NOTHING)
  }

  async #closed(): Promise<void> {
    if (this.#socket.closed) return
    await new Promise<void>(resolve => {
      const cut = setTimeout(() => { this.#socket.destroy() }, CLOSE_MS)
      this.#socket.once('close', () => {
        clearTimeout(cut)
        resolve()
      })
    })
  }
}

/** A TLS 1.3 client learns only after its handshake that the server refuses its certificate: an alert. */
function lossOf(error: Error & { code?: string }): AppError {
  return /^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA)|^ERR_SSL_TLSV1_ALERT_UNKNOWN_CA/.test(error.code ?? '')
    ? new AppError('PEER_UNTRUSTED', `the peer refuses our certificate: ${error.message}`, { cause: error })
    : new AppError('LINK_LOST', `the connection to the peer was lost: ${error.message}`, { cause: error })
}
