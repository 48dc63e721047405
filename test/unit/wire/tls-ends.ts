/** Ends of TLS connections over loopback for tests: our own links, and Node's sockets as the peer that can say anything. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { openLinkIdentity } from '../../../src/posix/linking.ts'
import type { Identity } from '../../../src/trust/peer-tls.ts'
import { encodeFrameHead, FRAME_TYPES, HEADER_BYTES, type FrameType } from '../../../src/wire/frame.ts'
import type { AcceptedLink, Link } from '../../../src/wire/link.ts'
import type { Message } from '../../../src/wire/messages.ts'
import { acceptTlsLink, dialTlsLink, type TlsLinkOptions } from '../../../src/wire/tls-link.ts'

export const soon = (): AbortSignal => AbortSignal.timeout(10_000)
export const first = async (link: Link): Promise<IteratorResult<Message, void>> => await link.receive()[Symbol.asyncIterator]().next()
/** a small message, and what it is on the wire */
export const hold: Message = { type: 'control', control: { kind: 'hold', id: 1 } }
export const holdHead = encodeFrameHead('control', 0, Buffer.from('{"kind":"hold","id":1}'), Buffer.alloc(0))

export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export interface Relay { port: number, cut: () => void }

/** A port that leads to another one; `cut` ends what goes through it as a cut cable does, and the port itself. */
export async function relay(to: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(to, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    near.pipe(far)
    far.pipe(near)
  })
  return {
    port: await listening(server),
    cut: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

export interface LinkEnds { agent: Link, appliance: Link, accepted: AcceptedLink, cut: () => void }

/** Two links of ours that are connected to each other; `detour` gives the port to dial for the one where the appliance is. */
export async function linkEnds(server: Identity, agent: Identity, detour = (port: number): number => port): Promise<LinkEnds> {
  const listener = createServer({ pauseOnConnect: true })
  const between = await relay(await listening(listener))
  const accepting = (async () => {
    const [socket] = await once(listener, 'connection') as [Socket]
    listener.close()
    return await acceptTlsLink(openLinkIdentity(server), socket, soon())
  })()
  accepting.catch(() => undefined)
  const link = await dialTlsLink(openLinkIdentity(agent), { host: '127.0.0.1', port: detour(between.port) }, soon())
  const accepted = await accepting
  return { agent: link, appliance: accepted.link, accepted, cut: between.cut }
}

/** A link of ours at the appliance's end, and Node's socket at the agent's. */
export async function rawAgent(server: Identity, agent: Partial<Identity>, options?: TlsLinkOptions): Promise<{ socket: TLSSocket, accepted: AcceptedLink, link: Link }> {
  const listener = createServer({ pauseOnConnect: true })
  const port = await listening(listener)
  const socket = dialRaw(port, agent)
  socket.on('error', () => undefined)
  const [incoming] = await once(listener, 'connection') as [Socket]
  listener.close()
  const accepted = await acceptTlsLink(openLinkIdentity(server), incoming, soon(), options)
  return { socket, accepted, link: accepted.link }
}

/** Node's socket as an agent that believes any server. */
export function dialRaw(port: number, { keyPem, certificatePem }: Partial<Identity>): TLSSocket {
  return connectTls({ host: '127.0.0.1', port, key: keyPem, cert: certificatePem, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
}

/** A port where Node's TLS server takes one agent after the other and does what it is told with them. */
export async function rawAppliance(server: Identity, serve: (socket: TLSSocket) => void, requestCert = true): Promise<{ port: number, close: () => void }> {
  const listener = createTlsServer({ key: server.keyPem, cert: server.certificatePem, ca: server.caPem, requestCert, rejectUnauthorized: requestCert, minVersion: 'TLSv1.3' })
  listener.on('secureConnection', socket => {
    socket.on('error', () => undefined)
    serve(socket)
  })
  return { port: await listening(listener), close: () => { listener.close() } }
}

/** Calls `heard` with the type of each frame that the socket gets. */
export function onFrame(socket: TLSSocket, heard: (type: FrameType | undefined) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32LE(0)) {
      const code = rest.readUInt8(8)
      rest = rest.subarray(HEADER_BYTES + rest.readUInt32LE(0))
      heard(Object.keys(FRAME_TYPES).find((type): type is FrameType => FRAME_TYPES[type as FrameType] === code))
    }
  })
}
