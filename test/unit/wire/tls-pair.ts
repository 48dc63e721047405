/** Two TLS sockets that are connected to each other over loopback, both with certificates of one authority. */
import { once } from 'node:events'
import { createServer, type TLSSocket } from 'node:tls'
import { agentTls, handshake, serverTls, type Identity } from '../../../src/trust/peer-tls.ts'

export interface TlsPair { agent: TLSSocket, appliance: TLSSocket }

export async function tlsPair(server: Identity, agent: Identity): Promise<TlsPair> {
  const listener = createServer(serverTls(server))
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepted = once(listener, 'secureConnection')
  const socket = await handshake({ ...agentTls(agent), host: '127.0.0.1', port: address.port }, AbortSignal.timeout(5000))
  const [appliance] = await accepted as [TLSSocket]
  listener.close()
  return { agent: socket, appliance }
}
