import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { checkCertificate, normalThumbprint, probeCertificate } from '../../../src/hypervisor/vsphere-certificate.ts'
import { VsphereSession, type VsphereAddress } from '../../../src/hypervisor/vsphere-session.ts'
import { soapServer, type SoapServer } from './soap-server.ts'

const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const OTHER = Array.from({ length: 32 }, () => 'AB').join(':')

async function serve(t: Test): Promise<{ server: SoapServer, address: VsphereAddress }> {
  const server = await soapServer(t, () => undefined)
  return { server, address: { host: '127.0.0.1', port: server.port, user: 'u', password: 'pw-that-must-stay', thumbprint: '' } }
}

t.test('a certificate that does not verify is shown with subject, thumbprint and reason', async t => {
  const { server } = await serve(t)
  t.match(await probeCertificate('127.0.0.1', server.port, soon()), { subject: /CN=soap/, thumbprint: server.thumbprint, verified: false, reason: 'it is self-signed' })
})

t.test('a certificate that verifies says so', async t => {
  const { server } = await serve(t)
  t.match(await probeCertificate('127.0.0.1', server.port, soon(), [server.certificate]), { verified: true, reason: '' })
})

t.test('without a pin, a certificate that does not verify is CERTIFICATE_UNTRUSTED and nothing is sent', async t => {
  const { server, address } = await serve(t)
  await t.rejects(VsphereSession.open(address, soon()), { code: 'CERTIFICATE_UNTRUSTED', message: new RegExp(`self-signed.*CN=soap.*${server.thumbprint}`) })
  t.strictSame(server.received, [], 'not one request')
})

t.test('with a pin, another certificate is CERTIFICATE_CHANGED and nothing is sent', async t => {
  const { server, address } = await serve(t)
  await t.rejects(VsphereSession.open({ ...address, thumbprint: OTHER }, soon()), { code: 'CERTIFICATE_CHANGED', message: new RegExp(server.thumbprint) })
  t.strictSame(server.received, [], 'not one request')
})

t.test('a pin is a pin even when the certificate verifies', async t => {
  const { server, address } = await serve(t)
  await t.rejects(VsphereSession.open({ ...address, thumbprint: OTHER, trustedCas: [server.certificate] }, soon()), { code: 'CERTIFICATE_CHANGED' })
})

t.test('the accepted certificate and one that verifies are used', async t => {
  const { server, address } = await serve(t)
  for (const more of [{ thumbprint: server.thumbprint }, { thumbprint: server.thumbprint.toLowerCase() }, { trustedCas: [server.certificate] }]) {
    await using session = await VsphereSession.open({ ...address, ...more }, soon())
    t.equal(session.logins, 1)
  }
})

t.test('a certificate for another name does not verify', async t => {
  const { server } = await serve(t)
  t.match(await probeCertificate('127.0.0.2', server.port, soon(), [server.certificate]).catch((error: unknown) => error), { code: 'VSPHERE_UNREACHABLE' }, 'nobody listens there')
  t.throws(() => { checkCertificate({ host: 'vc.example', port: 443, thumbprint: '' }, { subject: 'CN=a', thumbprint: OTHER, verified: false, reason: 'it was made for another name' }) },
    { code: 'CERTIFICATE_UNTRUSTED', message: /another name/ })
})

/** The port of a server that does this with each connection, and is no TLS server. */
async function tcpServer(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket.on('error', () => { socket.destroy() }))
    serve(socket)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => { server.close(() => { resolve() }) })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

t.test('a port that speaks no TLS is VSPHERE_UNREACHABLE', async t => {
  const port = await tcpServer(t, socket => { socket.end('hello\n') })
  await t.rejects(probeCertificate('127.0.0.1', port, soon()), { code: 'VSPHERE_UNREACHABLE', message: /cannot reach 127\.0\.0\.1/ })
})

t.test('a server that is silent in the handshake is left when the signal says so', async t => {
  const port = await tcpServer(t, () => undefined)
  const stop = new AbortController()
  setTimeout(() => { stop.abort() }, 50)
  await t.rejects(probeCertificate('127.0.0.1', port, stop.signal), { name: 'AbortError' })
  await t.rejects(probeCertificate('127.0.0.1', port, AbortSignal.timeout(50)), { code: 'VSPHERE_UNREACHABLE' })
})

t.test('a thumbprint may be typed in any form', async t => {
  t.equal(normalThumbprint('ab:cd ef'), 'AB:CD:EF')
  t.equal(normalThumbprint('abcdef'), 'AB:CD:EF')
})
