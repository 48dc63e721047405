/**
 * The replication port: takes TLS connections of agents and turns each into a SourceServer. A peer counts only with a certificate of the
 * appliance's authority, of an enrolled source, and with the right protocol version; anybody else is closed without touching the others.
 * What strangers can cost is bounded: how many are let in at once before they have said who they are, and for how long.
 */
import { once } from 'node:events'
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { Socket } from 'node:net'
import type { Clock } from '../clock/clock.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import type { Logger } from '../logging/logger.ts'
import { encodeFrameHead } from '../wire/frame.ts'
import type { Link } from '../wire/link.ts'
import { encodeMessage } from '../wire/message-codec.ts'
import { PROTOCOL_VERSION } from '../wire/messages.ts'
import { linkSourceServer, type Hello } from './link-source-server.ts'
import type { SourceServer } from './source-server.ts'

export interface SourceListenerOptions {
  host: string
  /** 0: any free port */
  port: number
  /** key, certificate and authority; certificates must be asked for and checked */
  tls: TlsOptions
  openLink: (socket: TLSSocket) => Link
  isEnrolled: (sourceId: string) => Promise<boolean>
  /** takes the server over */
  onConnected: (server: SourceServer) => Promise<void>
  applianceVersion: string
  clock: Clock
  log: Logger
  /** how long a peer may take for its handshake, and again for its greeting; default 10 s */
  handshakeMs?: number
}

export interface SourceListener extends AsyncDisposable {
  readonly port: number
}

const HANDSHAKE_MS = 10_000
/** enough for every source of a large site to come back at once, little enough to cost nothing */
const MAX_STRANGERS = 256

/** @throws {AppError} CONFIG_INVALID when the port cannot be used */
export async function openSourceListener(options: SourceListenerOptions): Promise<SourceListener> {
  const { host, port, tls, log } = options
  const handshakeMs = options.handshakeMs ?? HANDSHAKE_MS
  const sockets = new Set<Socket>()
  const strangers = new Set<Socket>()
  const greeting = new Set<Promise<void>>()
  // who has no certificate of the authority is let through the handshake only to be told so: nothing that it sends is read
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: false, handshakeTimeout: handshakeMs })
  server.on('connection', (socket: Socket) => {
    if (strangers.size >= MAX_STRANGERS) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    strangers.add(socket)
    socket.once('close', () => { sockets.delete(socket); strangers.delete(socket) })
  })
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error, address: socket.remoteAddress }, 'connection refused before it was authenticated')
    socket.destroy()
  })
  server.on('secureConnection', socket => {
    const greeted = greet(options, socket, handshakeMs)
    greeting.add(greeted)
    void (async () => {
      await greeted
      greeting.delete(greeted)
      for (const stranger of strangers) if (stranger.remotePort === socket.remotePort && stranger.remoteAddress === socket.remoteAddress) strangers.delete(stranger)
    })()
  })
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `cannot listen on ${host}:${String(port)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  server.on('error', error => { log.error({ err: error }, 'replication port failed') })
  const address = server.address()
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      // connections that were handed over belong to others
      for (const socket of strangers) socket.destroy()
      await Promise.all(greeting)
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Hears the greeting and answers it. Never rejects. */
async function greet(options: SourceListenerOptions, socket: TLSSocket, handshakeMs: number): Promise<void> {
  const { openLink, isEnrolled, onConnected, applianceVersion, clock, log } = options
  const address = socket.remoteAddress
  const sourceId = commonName(socket)
  if (sourceId === undefined) {
    log.debug({ err: socket.authorizationError, address }, 'peer without a certificate of a source was refused')
    await dismiss(socket, handshakeMs)
    return
  }
  const link = openLink(socket)
  const late = setTimeout(() => { socket.destroy() }, handshakeMs)
  try {
    const messages = link.receive()[Symbol.asyncIterator]()
    const first = await messages.next()
    if (first.done === true || first.value.type !== 'control' || first.value.control.kind !== 'hello') throw new AppError('FRAME_INVALID', 'the peer did not begin with a greeting')
    const hello: Hello = first.value.control
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      await refuse(link, 'PROTOCOL_VERSION', `agent ${hello.agentVersion} speaks protocol ${String(hello.protocolVersion)}, appliance ${applianceVersion} speaks ${String(PROTOCOL_VERSION)}`)
    } else if (!await isEnrolled(sourceId)) {
      await refuse(link, 'PEER_UNTRUSTED', 'this source was removed from the appliance')
    } else {
      await link.send({ type: 'control', control: { kind: 'welcome', applianceVersion } }, AbortSignal.timeout(handshakeMs))
      await onConnected(linkSourceServer({ link, messages, sourceId, hello, clock, log }))
      log.info({ sourceId, address, agentVersion: hello.agentVersion }, 'source connected')
      return
    }
    log.warn({ sourceId, address, agentVersion: hello.agentVersion }, 'agent was refused')
  } catch (error) {
    if (isAppError(error)) log.debug({ err: error, sourceId, address }, 'connection ended before its greeting')
    else log.error({ err: error, sourceId, address }, 'connection of an agent failed')
  } finally {
    clearTimeout(late)
  }
  await link[Symbol.asyncDispose]()
}

/** Says why and lets the words arrive; the caller closes the link. */
async function refuse(link: Link, code: ErrorCode, message: string): Promise<void> {
  await link.send({ type: 'control', control: { kind: 'refuse', code, message } }, AbortSignal.timeout(HANDSHAKE_MS))
}

/** Tells a peer that is not trusted why, reads nothing of it, and closes. Never rejects. */
async function dismiss(socket: TLSSocket, withinMs: number): Promise<void> {
  const { head, body } = encodeMessage({ type: 'control', control: { kind: 'refuse', code: 'PEER_UNTRUSTED', message: 'it has no certificate of a source of this appliance' } })
  const late = setTimeout(() => { socket.destroy() }, withinMs)
  socket.on('error', () => { socket.destroy() })
  socket.end(Buffer.concat([head, body, encodeFrameHead('bye', 0, Buffer.alloc(0), Buffer.alloc(0))]))
  socket.resume() // dropped unread, so that the end of the stream is seen
  if (!socket.closed) await new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
  clearTimeout(late)
}

/** The source's id: the one common name in the certificate, which the authority gave. Undefined for anybody else. */
function commonName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined
  return /^CN=([A-Za-z0-9._-]+)$/.exec(socket.getPeerX509Certificate()?.subject ?? '')?.[1]
}
