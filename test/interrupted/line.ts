/** A line that can be cut: a TCP proxy before the receiver, which counts what the agent sends and can say when so much has passed. */
import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'

export interface Line extends AsyncDisposable {
  readonly port: number
  /** bytes from the agent since the last call of `reset` */
  readonly bytes: number
  /** where the receiver listens; undefined: nobody answers */
  leadTo: (port: number | undefined) => void
  /** drops every connection, with what is on its way */
  cut: () => void
  /** Nothing passes any more, either way, and nobody is told: as when a switch on the way loses its power. New connections pass. */
  silence: () => void
  /** counts from 0 again; `then` is called once when so many bytes have passed */
  reset: (atBytes?: number, then?: () => void) => void
}

export async function openLine(): Promise<Line> {
  const sockets = new Set<Socket>()
  let to: number | undefined
  let bytes = 0
  let at = Infinity
  let then = (): void => undefined
  const server = createServer(agent => {
    if (to === undefined) {
      agent.destroy()
      return
    }
    const receiver = connect(to, '127.0.0.1')
    for (const [socket, other] of [[agent, receiver], [receiver, agent]] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => { other.destroy() })
      socket.on('close', () => { sockets.delete(socket); other.destroy() })
    }
    receiver.pipe(agent)
    agent.on('data', (data: Buffer) => {
      bytes += data.length
      if (!receiver.write(data)) agent.pause()
      if (bytes < at) return
      at = Infinity
      then()
    })
    receiver.on('drain', () => { if (agent.listenerCount('data') > 0) agent.resume() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the line has no port')
  const cut = (): void => { for (const socket of sockets) socket.destroy() }
  return {
    port: address.port,
    get bytes() { return bytes },
    leadTo: port => { to = port },
    cut,
    silence: () => {
      for (const socket of sockets) {
        socket.unpipe()
        socket.removeAllListeners('data')
        socket.pause()
      }
    },
    reset: (atBytes = Infinity, call = () => undefined) => { bytes = 0; at = atBytes; then = call },
    [Symbol.asyncDispose]: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
