/**
 * A Link over TLS 1.3 with certificates of one authority on both sides. Encryption and framing have a thread of their own in the addon,
 * which reads all the time as long as this side keeps up (what it holds is bounded by the credit that it gave), so that credit and signs of
 * life are seen however slow the consumer is. Both ends say `alive` when they have nothing else to say; a peer that is silent for too long is
 * given up.
 */
import { connect, type Socket } from 'node:net'
import type { Compression, Transmission } from '../domain/transmission.ts'
import { AppError } from '../errors/app-error.ts'
import { openNativeLink } from '../posix/linking.ts'
import type { LinkIdentity, NativeEndKind, NativeFrame, NativeLink } from '../posix/native-link.ts'
import { outgoingBodies } from './body-pool.ts'
import { invalid } from './byte-reader.ts'
import { Credit, CONTROL_WINDOW_BYTES, creditClassOf, DATA_WINDOW_BYTES, type CreditClass } from './credit.ts'
import { encodeFrameHead, frameType, HEADER_BYTES, type Frame } from './frame.ts'
import { Inbox } from './inbox.ts'
import { MAX_PIECE_BYTES } from './limits.ts'
import type { AcceptedLink, Link } from './link.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import { isUrgent, type Message } from './messages.ts'
import { UnsentData } from './unsent-data.ts'
import { noteGarbage } from './garbage.ts'

export interface TlsLinkOptions {
  /** how long the peer may be silent before it is given up */
  idleMs: number
}

const DEFAULT_IDLE_MS = 30_000
/** `send` holds the sender back while more data than this waits for the network */
const HIGH_WATER_BYTES = 2 * 1024 * 1024
/** on a limited link it is a second's worth, but no less than this: a request to stop has to wait for it */
const LOW_WATER_BYTES = 64 * 1024
/** of file content on a limited link */
const LIMITED_PIECE_BYTES = 1024 * 1024
/** levels of zstd */
const LEVELS = { off: 0, minimum: 1, medium: 3, maximum: 9 } as const satisfies Record<Compression, number>
/** how long an orderly end may take before the connection is cut */
const CLOSE_MS = 2000
/** a sign of life is due after this many silent ticks, the peer is lost after three times as many */
const TICKS_TO_ALIVE = 3

const NOTHING = Buffer.alloc(0)

/**
 * Takes a connection to this appliance over; resolves when the handshake is through. Abort closes it.
 * @throws {AppError} LINK_LOST
 */
export async function acceptTlsLink(identity: LinkIdentity, socket: Socket, signal: AbortSignal, options: TlsLinkOptions = { idleMs: DEFAULT_IDLE_MS }): Promise<AcceptedLink> {
  const link = new TlsLink(identity, socket, true, options)
  const { distrust, certificate } = await link.ready(signal)
  return { link, distrust: distrust === '' ? undefined : distrust, certificate: certificate.length === 0 ? undefined : certificate }
}

/**
 * Connects to an appliance; resolves when the handshake is through on this side. Abort closes it.
 * @throws {AppError} LINK_REFUSED when there is no connection, PEER_UNTRUSTED when the certificate is not believed
 */
export async function dialTlsLink(identity: LinkIdentity, { host, port }: { host: string, port: number }, signal: AbortSignal, options: TlsLinkOptions = { idleMs: DEFAULT_IDLE_MS }): Promise<Link> {
  const where = `${host}:${String(port)}`
  const link = new TlsLink(identity, await connected(host, port, signal), false, options)
  try {
    await link.ready(signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof AppError)) throw error
    throw error.code === 'PEER_UNTRUSTED'
      ? new AppError('PEER_UNTRUSTED', `${where} has no certificate that is trusted here: ${error.message}`, { cause: error })
      : new AppError('LINK_REFUSED', `cannot connect to ${where}: ${error.message}`, { cause: error })
  }
  return link
}

async function connected(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  return await new Promise<Socket>((resolve, reject) => {
    const socket = connect({ host, port })
    socket.pause() // what arrives is not Node's to read
    const stop = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', stop, { once: true })
    socket.once('error', error => {
      signal.removeEventListener('abort', stop)
      reject(new AppError('LINK_REFUSED', `cannot connect to ${host}:${String(port)}: ${error.message}`, { cause: error }))
    })
    socket.once('connect', () => {
      signal.removeEventListener('abort', stop)
      resolve(socket)
    })
  })
}

interface Peer { distrust: string, certificate: Buffer }

class TlsLink implements Link {
  bytesSent = 0
  readonly #native: NativeLink
  readonly #credit: Record<CreditClass, Credit> = { data: new Credit(DATA_WINDOW_BYTES), control: new Credit(CONTROL_WINDOW_BYTES) }
  readonly #owed: Record<CreditClass, number> = { data: 0, control: 0 }
  readonly #inbox = new Inbox((credit, bytes) => { this.#giveBack(credit, bytes) })
  readonly #handshake = Promise.withResolvers<Peer>()
  readonly #closed = Promise.withResolvers<undefined>()
  /** memory of the addon that was lent to the consumer */
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #timer: NodeJS.Timeout
  readonly #idleMs: number
  readonly #unsent = new UnsentData(HIGH_WATER_BYTES)
  #pieceBytes = MAX_PIECE_BYTES
  #ended = false
  #heardBytes = 0
  #ticksSinceReceived = 0
  #ticksSinceSent = 0

  constructor(identity: LinkIdentity, socket: Socket, isServer: boolean, { idleMs }: TlsLinkOptions) {
    this.#idleMs = idleMs
    this.#native = openNativeLink(identity, socket, isServer, HIGH_WATER_BYTES, () => { this.#take() })
    this.#timer = setInterval(() => { this.#tick() }, idleMs / (3 * TICKS_TO_ALIVE))
    this.#timer.unref()
    this.#handshake.promise.catch(() => undefined)
  }

  /** Resolves when the handshake is through. Abort cuts the connection. @throws {AppError} LINK_LOST, PEER_UNTRUSTED */
  async ready(signal: AbortSignal): Promise<Peer> {
    const stop = (): void => {
      this.#handshake.reject(signal.reason as Error)
      this.#lose('the handshake was given up')
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await this.#handshake.promise
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async send(message: Message, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { head, body, sizeBytes } = encodeMessage(message)
    const credit = creditClassOf(message)
    await this.#credit[credit].take(sizeBytes, signal)
    this.#write(head, body, isUrgent(message))
    // control messages are few enough by their credit
    while (credit === 'data' && this.#unsent.isHigh && !signal.aborted && !this.#ended) await this.#unsent.fallen(signal)
  }

  transmit({ bandwidthBytesPerS, compression }: Transmission): void {
    const highWaterBytes = bandwidthBytesPerS === undefined ? HIGH_WATER_BYTES : Math.min(HIGH_WATER_BYTES, Math.max(LOW_WATER_BYTES, bandwidthBytesPerS))
    // a power of two, so whole blocks
    this.#pieceBytes = bandwidthBytesPerS === undefined ? MAX_PIECE_BYTES : 2 ** Math.floor(Math.log2(Math.min(LIMITED_PIECE_BYTES, highWaterBytes)))
    this.#native.setPace(bandwidthBytesPerS ?? 0, LEVELS[compression], highWaterBytes)
    this.#unsent.setHighWater(highWaterBytes)
  }

  get pieceBytes(): number { return this.#pieceBytes }

  get bytesSentPacked(): number { return this.#native.packed() }

  get bytesReceived(): number { return this.#native.heard() }

  receive(): AsyncIterable<Message> { return this.#inbox.receive() }

  reuse(part: Buffer): void {
    const memory = part.buffer
    if (!this.#lent.delete(memory)) return
    for (const { buffer } of this.#native.supply(Buffer.from(memory))) if (buffer instanceof ArrayBuffer) buffer.transfer(0) // freed now, not by a full collection
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      this.#write(encodeFrameHead('bye', 0, NOTHING, NOTHING), NOTHING, false)
      this.#finish()
    }
    const cut = setTimeout(() => { this.#native.close(true) }, CLOSE_MS)
    await this.#closed.promise
    clearTimeout(cut)
  }

  /** Ends orderly; what was written still goes out. */
  #finish(): void {
    this.#end()
    this.#inbox.end({ kind: 'orderly' })
    this.#native.close(false)
  }

  #lose(what: string): void {
    this.#fail(new AppError('LINK_LOST', `the connection to the peer was lost: ${what}`))
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#end()
    this.#inbox.end({ kind: 'failed', error })
    this.#handshake.reject(error)
    this.#native.close(true)
  }

  #end(): void {
    this.#ended = true
    clearInterval(this.#timer)
    const error = new AppError('LINK_LOST', 'the connection to the peer has ended')
    this.#credit.data.fail(error)
    this.#credit.control.fail(error)
    this.#unsent.letGo()
  }

  #take(): void {
    const { frames, unsent, peer, end } = this.#native.take()
    this.#unsent.note(unsent)
    this.#unsent.goOn()
    if (peer != null) this.#handshake.resolve(peer)
    try {
      for (const frame of frames) if (!this.#ended) this.#receive(frame)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#fail(error)
    }
    if (end != null) {
      this.#fail(lossOf(...end))
      this.#handshake.reject(new AppError('LINK_LOST', 'the connection was closed'))
      this.#closed.resolve(undefined)
    }
  }

  #receive({ kind, volume, start, length, pooled, memory }: NativeFrame): void {
    if (pooled) this.#lent.add(memory.buffer)
    else noteGarbage(length)
    const body = memory.subarray(start, start + length)
    const frame: Frame = { type: frameType(kind), volume, body }
    switch (frame.type) {
      case 'credit':
        if (length !== 8 || !this.#credit.data.give(body.readUInt32LE(0)) || !this.#credit.control.give(body.readUInt32LE(4))) throw invalid('credit for more than was sent')
        return
      case 'alive':
        return
      case 'bye':
        this.#finish()
        return
      case 'control': case 'operations': case 'list': case 'listing': case 'hash': case 'hashes': case 'digests': case 'same':
        this.#inbox.put(decodeMessage(frame), HEADER_BYTES + length)
        return
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
    this.#write(encodeFrameHead('credit', 0, body, NOTHING), NOTHING, true)
  }

  #write(head: Buffer, body: Buffer, urgent: boolean): void {
    if (this.#ended) throw new AppError('LINK_LOST', 'the connection to the peer has ended')
    const sizeBytes = head.length + body.length
    this.bytesSent += sizeBytes
    this.#ticksSinceSent = 0
    const isPooled = outgoingBodies.isLent(body)
    this.#unsent.add(urgent ? 0 : sizeBytes, isPooled ? body : undefined)
    noteGarbage(isPooled ? head.length : sizeBytes)
    this.#unsent.note(this.#native.send(head, body, urgent))
  }

  /**
   * Silence is counted in ticks, not in time: when this process was stopped or busy for long, only one tick has passed and what the peer
   * sent meanwhile is read before the next one.
   */
  #tick(): void {
    const heardBytes = this.#native.heard()
    if (heardBytes === this.#heardBytes) this.#ticksSinceReceived++
    else this.#ticksSinceReceived = 0
    this.#heardBytes = heardBytes
    this.#ticksSinceSent++
    if (this.#ticksSinceReceived > 3 * TICKS_TO_ALIVE) this.#lose(`nothing was heard for ${String(this.#idleMs)} ms`)
    else if (this.#ticksSinceSent >= TICKS_TO_ALIVE && this.#native.unsent() === 0) this.#write(encodeFrameHead('alive', 0, NOTHING, NOTHING), NOTHING, true)
  }
}

function lossOf(kind: NativeEndKind, what: string): AppError {
  switch (kind) {
    case 'invalid': return invalid(what)
    // a TLS 1.3 client learns only after its handshake that the server refuses its certificate
    case 'untrusted': return new AppError('PEER_UNTRUSTED', `a certificate is not trusted: ${what}`)
    case 'closed': case 'lost': return new AppError('LINK_LOST', `the connection to the peer was lost: ${what}`)
  }
}
