/** Whom the ends of a TLS link believe, and what becomes of a connection that is none. */
import { once } from 'node:events'
import { join } from 'node:path'
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { openLinkIdentity } from '../../../src/posix/linking.ts'
import { acceptTlsLink, dialTlsLink } from '../../../src/wire/tls-link.ts'
import { testAuthority } from '../trust/authority.ts'
import { first, holdHead, listening, onFrame, rawAgent, rawAppliance, soon } from './tls-ends.ts'

const root = t.testdir({ ours: {}, theirs: {}, old: {} })
const { server, agent } = await testAuthority(join(root, 'ours'))
const identity = await agent('source-1')

t.test('a peer without a certificate of the authority is named so, and nothing that it says is heard', async t => {
  const theirs = await testAuthority(join(root, 'theirs'))
  const expired = await testAuthority(join(root, 'old'), Date.now() - 3652 * 86_400_000)
  const cases = {
    'no certificate': {}, 'another authority': await theirs.agent('source-1'), 'a server\'s certificate': server, 'an expired one': await expired.agent('source-1'),
  }
  for (const [title, as] of Object.entries(cases)) {
    const of = title === 'an expired one' ? expired.server : server
    const { socket, accepted: { link, distrust } } = await rawAgent(of, as)
    t.type(distrust, 'string', title)
    socket.write(holdHead)
    await link.send({ type: 'control', control: { kind: 'refuse', code: 'PEER_UNTRUSTED', message: 'no' } }, soon())
    const heard: (string | undefined)[] = []
    onFrame(socket, type => { heard.push(type) })
    socket.once('end', () => { socket.end() })
    await link[Symbol.asyncDispose]()
    t.same(await first(link), { done: true, value: undefined }, title)
    if (!socket.closed) await new Promise(resolve => { socket.once('close', resolve) })
    t.same(heard, ['control', 'bye'], `${title} is told why`)
  }
  const { accepted: { link, distrust, certificate }, socket } = await rawAgent(server, identity)
  t.equal(distrust, undefined)
  t.ok(certificate !== undefined)
  socket.destroy()
  await link[Symbol.asyncDispose]()
})

t.test('an agent believes no server of another authority, no agent in its place, and no expired one', async t => {
  const theirs = await testAuthority(join(root, 'theirs'))
  const expired = await testAuthority(join(root, 'old'), Date.now() - 3652 * 86_400_000)
  const cases = { 'another authority': [theirs.server, identity], 'an agent': [{ ...await agent('source-2') }, identity], 'expired': [expired.server, await expired.agent('source-1')] } as const
  for (const [title, [as, us]] of Object.entries(cases)) {
    const port = await rawAppliance(as, socket => { socket.destroy() }, false)
    await t.rejects(dialTlsLink(openLinkIdentity(us), { host: '127.0.0.1', port: port.port }, soon()), { code: 'PEER_UNTRUSTED' }, title)
    port.close()
  }
})

t.test('what answers no TLS, or nothing at all, is LINK_REFUSED, and an abort ends the handshake', async t => {
  const closed = createServer()
  const nobody = await listening(closed)
  closed.close()
  await t.rejects(dialTlsLink(openLinkIdentity(identity), { host: '127.0.0.1', port: nobody }, soon()), { code: 'LINK_REFUSED' })
  const web = createServer(socket => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') })
  await t.rejects(dialTlsLink(openLinkIdentity(identity), { host: '127.0.0.1', port: await listening(web) }, soon()), { code: 'LINK_REFUSED' })
  web.close()
  const silent = createServer({ pauseOnConnect: true })
  const calls: Socket[] = []
  silent.on('connection', call => { calls.push(call) })
  const port = await listening(silent)
  await t.rejects(dialTlsLink(openLinkIdentity(identity), { host: '127.0.0.1', port }, AbortSignal.timeout(100)), { name: 'TimeoutError' })
  const accepting = once(silent, 'connection')
  const caller = connect(port, '127.0.0.1')
  const [socket] = await accepting as [Socket]
  await t.rejects(acceptTlsLink(openLinkIdentity(server), socket, AbortSignal.timeout(100)), { name: 'TimeoutError' })
  caller.destroy()
  for (const call of calls) call.destroy()
  silent.close()
})

t.test('an identity that cannot be used is CONFIG_INVALID, and the error holds nothing of the key', async t => {
  for (const damaged of [{ ...identity, keyPem: server.keyPem }, { ...identity, keyPem: identity.keyPem.replace('M', '!') }, { ...identity, certificatePem: 'x' }, { ...identity, caPem: '' }]) {
    try {
      openLinkIdentity(damaged)
      t.fail('it was taken')
    } catch (error) {
      t.match(error, { code: 'CONFIG_INVALID' })
      const line = damaged.keyPem.split('\n')[1] ?? ''
      t.notOk(String(error).includes(line.slice(0, 16)))
    }
  }
})
