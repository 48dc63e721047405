import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { enrol, type EnrolOptions } from '../../../src/agent/enrol.ts'
import { readIdentity, storeIdentity } from '../../../src/agent/identity.ts'
import { Enrol } from '../../../src/domain/server.ts'
import { caSha256 } from '../../../src/trust/key.ts'
import { testAuthority } from '../trust/authority.ts'

const root = t.testdir({ ca: {}, other: {} })
const ours = await testAuthority(join(root, 'ca'))
const theirs = await testAuthority(join(root, 'other'))
const TOKEN = 'token-token-token-token-token'
const soon = (): AbortSignal => AbortSignal.timeout(10_000)

interface Api extends AsyncDisposable { port: number, bodies: Enrol[] }

/** An appliance's API that answers enrolments with what `answer` says. */
async function api(answer: (body: Enrol) => Promise<{ status: number, json: unknown }>, server = ours): Promise<Api> {
  const bodies: Enrol[] = []
  const listener: Server = createServer({ key: server.server.keyPem, cert: server.server.certificatePem }, (request, response) => {
    void (async () => {
      let text = ''
      for await (const chunk of request) text += String(chunk)
      const body = Enrol.parse(JSON.parse(text))
      bodies.push(body)
      const { status, json } = await answer(body)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
    })()
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, bodies, [Symbol.asyncDispose]: async () => { listener.closeAllConnections(); listener.close(); await once(listener, 'close') } }
}

const good = async ({ csr }: Enrol): Promise<{ status: number, json: unknown }> =>
  ({ status: 201, json: { sourceId: 'source-9', certificate: await ours.authority.issueAgent(csr, 'source-9'), ca: ours.authority.certificatePem, replicationPort: 1500 } })

const options = (port: number, change: Partial<EnrolOptions> = {}): EnrolOptions =>
  ({ host: '127.0.0.1', port, caSha256: ours.authority.sha256, token: TOKEN, agentVersion: '1', stateDirectory: join(root, 'state'), ...change })

t.test('an enrolled agent has key, certificate and authority on disk, for the owner only', async t => {
  await using server = await api(good)
  const stateDirectory = join(root, 'enrolled')
  await enrol(options(server.port, { stateDirectory }), soon())
  const identity = await readIdentity(stateDirectory)
  t.match(identity, { sourceId: 'source-9', applianceHost: '127.0.0.1', replicationPort: 1500, keyPem: /PRIVATE KEY/ })
  t.equal(caSha256(identity.caPem), ours.authority.sha256)
  t.equal((await stat(join(stateDirectory, 'identity.json'))).mode & 0o777, 0o600)
  t.equal((await stat(stateDirectory)).mode & 0o777, 0o700)
  t.notMatch(server.bodies[0]?.csr, /PRIVATE/)
})

t.test('an identity is of use on its machine alone, and everywhere where machines have no name', async t => {
  const directory = t.testdir({ same: '4c4c4544-0042\n', upper: '4C4C4544-0042\n', other: '56ab-77\n' })
  const file = (name: string): string => join(directory, name)
  const identity = { sourceId: 's', applianceHost: 'h', replicationPort: 1500, keyPem: 'k', certificatePem: 'c', caPem: 'a' }
  const state = file('state')
  await storeIdentity(state, identity, file('upper'))
  t.match(await readIdentity(state, file('same')), identity)
  await t.rejects(readIdentity(state, file('other')), { code: 'SOURCE_CLONED', message: /another machine/ })
  t.match(await readIdentity(state, '/nowhere'), identity)
  await storeIdentity(state, identity, '/nowhere')
  t.match(await readIdentity(state, file('other')), identity)
})

t.test('the fingerprint may have colons and capitals', async t => {
  await using server = await api(good)
  const pin = ours.authority.sha256.toUpperCase().replace(/..(?!$)/g, '$&:')
  t.match(await enrol(options(server.port, { caSha256: pin }), soon()), { sourceId: 'source-9' })
})

t.test('an appliance of another authority gets no token: PEER_UNTRUSTED', async t => {
  await using server = await api(good, theirs)
  await t.rejects(enrol(options(server.port), soon()), { code: 'PEER_UNTRUSTED' })
  t.equal(server.bodies.length, 0)
})

t.test('who shows the right authority without being signed by it gets no token', async t => {
  const [leaf = ''] = theirs.server.certificatePem.split(/(?<=-----END CERTIFICATE-----\n)/)
  const fake = { ...theirs, server: { ...theirs.server, certificatePem: leaf + ours.authority.certificatePem } }
  await using server = await api(good, fake)
  await t.rejects(enrol(options(server.port), soon()), { code: 'PEER_UNTRUSTED' })
  t.equal(server.bodies.length, 0)
})

t.test('what the appliance refuses arrives with its code, and nothing is stored', async t => {
  const stateDirectory = join(root, 'refused')
  for (const code of ['ENROLMENT_TOKEN_USED', 'ENROLMENT_TOKEN_EXPIRED', 'ENROLMENT_TOKEN_INVALID', 'PROTOCOL_VERSION']) {
    await using server = await api(async () => ({ status: 403, json: { type: 'x', title: 'x', status: 403, detail: 'said by the appliance', code, operator: 'x', retryable: false } }))
    await t.rejects(enrol(options(server.port, { stateDirectory }), soon()), { code, message: 'said by the appliance' })
  }
  await t.rejects(readIdentity(stateDirectory), { code: 'PEER_UNTRUSTED' })
})

t.test('an answer that is none of an appliance, or of another authority, is refused', async t => {
  await using strange = await api(async () => ({ status: 200, json: 'hello' }))
  await t.rejects(enrol(options(strange.port), soon()), { code: 'LINK_REFUSED' })
  await using mixed = await api(async ({ csr }) => ({ status: 201, json: { sourceId: 's', certificate: await theirs.authority.issueAgent(csr, 's'), ca: ours.authority.certificatePem, replicationPort: 1500 } }))
  await t.rejects(enrol(options(mixed.port), soon()), { code: 'PEER_UNTRUSTED' })
})

t.test('nobody there, a wrong fingerprint, and a token that is none are told apart', async t => {
  await t.rejects(enrol(options(1), soon()), { code: 'LINK_REFUSED' })
  await t.rejects(enrol(options(1, { caSha256: 'abc' }), soon()), { code: 'REQUEST_INVALID' })
  await t.rejects(enrol(options(1, { token: 'short' }), soon()), { code: 'REQUEST_INVALID' })
})
