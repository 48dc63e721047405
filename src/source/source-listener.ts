/**
 * The replication port: takes TLS connections of agents and turns each into a SourceServer. A peer counts only with a certificate of the
 * appliance's authority, of an enrolled source, and with the right protocol version; anybody else is closed without touching the others.
 * What strangers can cost is bounded: how many are let in at once before they have said who they are, and for how long.
 */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Clock } from '../clock/clock.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import type { Logger } from '../logging/logger.ts'
import type { AcceptedLink, Link } from '../wire/link.ts'
import { PROTOCOL_VERSION } from '../wire/messages.ts'
import { linkSourceServer, type Hello } from './link-source-server.ts'
import type { SourceServer } from './source-server.ts'

export interface SourceListenerOptions {
  host: string
  /** 0: any free port */
  port: number
  /** Takes a new connection over, on which nothing was read yet; resolves when the peer's certificate is known and judged. Abort closes the connection. */
  openLink: (socket: Socket, signal: AbortSignal) => Promise<AcceptedLink>
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
/** how long a stranger may take to greet, before it is closed */
const GREETING_MS = 1000
/** enough for every source of a large site to come back at once, little enough to cost nothing */
const MAX_STRANGERS = 256

/** @throws {AppError} CONFIG_INVALID when the port cannot be used */
export async function openSourceListener(options: SourceListenerOptions): Promise<SourceListener> {
  const { host, port, log } = options
  const closing = new AbortController()
  const strangers = new Set<Promise<void>>()
  const server = createServer({ pauseOnConnect: true })
  server.on('connection', (socket: Socket) => {
    if (strangers.size >= MAX_STRANGERS) {
      socket.destroy()
      return
    }
    const greeted = greet(options, socket, closing.signal)
    strangers.add(greeted)
    void (async () => {
      await greeted
      strangers.delete(greeted)
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
      closing.abort(new AppError('LINK_LOST', 'the replication port is closed'))
      await Promise.all(strangers)
      await closed
    },
  }
}

/** From the handshake to the answer to the greeting. Never rejects. */
async function greet(options: SourceListenerOptions, socket: Socket, closing: AbortSignal): Promise<void> {
  const { openLink, log, handshakeMs = HANDSHAKE_MS } = options
  const address = socket.remoteAddress
  let accepted: AcceptedLink
  try {
    accepted = await openLink(socket, AbortSignal.any([closing, AbortSignal.timeout(handshakeMs)]))
  } catch (error) {
    log.debug({ err: error, address }, 'connection refused before it was authenticated')
    return
  }
  const { link, distrust, certificate } = accepted
  const over = AbortSignal.any([closing, AbortSignal.timeout(handshakeMs)])
  const end = (): void => { void link[Symbol.asyncDispose]() }
  over.addEventListener('abort', end, { once: true })
  try {
    const sourceId = distrust === undefined ? commonName(certificate) : undefined
    if (sourceId === undefined) {
      log.debug({ address, distrust: distrust ?? 'its name is no name of a source' }, 'peer without a certificate of a source was refused')
      await refuse(link, 'PEER_UNTRUSTED', 'it has no certificate of a source of this appliance')
      await greeted(link)
    } else if (await welcome(options, link, sourceId, address, over)) return
  } catch (error) {
    if (isAppError(error)) log.debug({ err: error, address }, 'connection ended before its greeting')
    else log.error({ err: error, address }, 'connection of an agent failed')
  } finally {
    over.removeEventListener('abort', end)
  }
  await link[Symbol.asyncDispose]()
}

/** Hears the greeting and answers it. @returns whether the link was handed over */
async function welcome(options: SourceListenerOptions, link: Link, sourceId: string, address: string | undefined, signal: AbortSignal): Promise<boolean> {
  const { isEnrolled, onConnected, applianceVersion, clock, log } = options
  const messages = link.receive()[Symbol.asyncIterator]()
  const first = await messages.next()
  if (first.done === true || first.value.type !== 'control' || first.value.control.kind !== 'hello') throw new AppError('FRAME_INVALID', 'the peer did not begin with a greeting')
  const hello: Hello = first.value.control
  if (hello.protocolVersion !== PROTOCOL_VERSION) {
    await refuse(link, 'PROTOCOL_VERSION', `agent ${hello.agentVersion} speaks protocol ${String(hello.protocolVersion)}, appliance ${applianceVersion} speaks ${String(PROTOCOL_VERSION)}`)
  } else if (!await isEnrolled(sourceId)) {
    await refuse(link, 'PEER_UNTRUSTED', 'this source was removed from the appliance')
  } else {
    await link.send({ type: 'control', control: { kind: 'welcome', applianceVersion } }, signal)
    await onConnected(linkSourceServer({ link, messages, sourceId, hello, clock, log }))
    log.info({ sourceId, address, agentVersion: hello.agentVersion }, 'source connected')
    return true
  }
  log.warn({ sourceId, address, agentVersion: hello.agentVersion }, 'agent was refused')
  return false
}

/** Says why and lets the words arrive; the caller closes the link. */
async function refuse(link: Link, code: ErrorCode, message: string): Promise<void> {
  await link.send({ type: 'control', control: { kind: 'refuse', code, message } }, AbortSignal.timeout(HANDSHAKE_MS))
}

/** Waits for the greeting, which nobody heeds: a connection that is closed over bytes that wait is cut, and takes the words with it that say why. */
async function greeted(link: Link): Promise<void> {
  const first = link.receive()[Symbol.asyncIterator]().next()
  await Promise.race([first.catch(() => undefined), new Promise(resolve => { setTimeout(resolve, GREETING_MS).unref() })])
}

/** The source's id: the one common name in the certificate, which the authority gave. Undefined for anybody else. */
function commonName(certificate: Buffer | undefined): string | undefined {
  if (certificate === undefined) return undefined
  return /^CN=([A-Za-z0-9._-]+)$/.exec(new X509Certificate(certificate).subject)?.[1]
}
