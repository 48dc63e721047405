import { Writable } from 'node:stream'
import pino from 'pino'
import t from 'tap'
import { serialiseError } from '../../../src/logging/logger.ts'
import { ref } from '../../../src/hypervisor/vsphere-object.ts'
import { VsphereSession, type VsphereAddress } from '../../../src/hypervisor/vsphere-session.ts'
import { soapServer, type SoapServer } from './soap-server.ts'

const PASSWORD = 'hunter2-<secret>'
const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const addressOf = (server: SoapServer): VsphereAddress => ({ host: '127.0.0.1', port: server.port, user: 'operator', password: PASSWORD, thumbprint: server.thumbprint })
const cancel = async (session: VsphereSession, more: { signal?: AbortSignal, timeoutMs?: number } = {}): Promise<unknown> =>
  await session.call('CancelTask', ref('Task', 'task-1'), {}, { signal: soon(), doing: 'cancel the task', ...more })

/** Everything that a log could get hold of: the error through our serialiser, through pino's own, and all its properties. */
function traces(error: unknown): string {
  let written = ''
  const log = pino({ serializers: { err: (e: unknown) => serialiseError(e) } }, new Writable({ write(chunk, _encoding, done) { written += String(chunk); done() } }))
  const plain = pino(new Writable({ write(chunk, _encoding, done) { written += String(chunk); done() } }))
  log.error({ err: error }, 'failed')
  plain.error({ err: error, cause: error instanceof Error ? error.cause : undefined }, 'failed')
  return written
}

t.test('it logs in, carries the quoted cookie, and logs out', async t => {
  const server = await soapServer(t, operation => operation === 'CancelTask' ? '' : undefined)
  const session = await VsphereSession.open(addressOf(server), soon())
  await cancel(session)
  await session[Symbol.asyncDispose]()
  await session[Symbol.asyncDispose]()
  t.strictSame(server.received.map(r => r.operation), ['RetrieveServiceContent', 'Login', 'CancelTask', 'Logout'])
  t.equal(server.received[2]?.cookie, 'vmware_soap_session="52aa-01"')
})

t.test('a wrong password is VSPHERE_LOGIN, and neither the error nor a log of it holds the password or the envelope', async t => {
  const server = await soapServer(t, operation => operation === 'Login' ? { fault: 'InvalidLogin', text: 'Cannot complete login due to an incorrect user name or password.' } : undefined)
  const error: unknown = await VsphereSession.open(addressOf(server), soon()).catch((e: unknown) => e)
  t.match(error, { code: 'VSPHERE_LOGIN', message: /cannot log in to 127\.0\.0\.1 as operator: the user or the password is wrong/ })
  t.match(server.received[1]?.body, /hunter2/, 'it was sent to the server, so there was something to hide')
  t.notMatch(traces(error), /hunter2/)
  t.notMatch(traces(error), /Envelope/)
})

t.test('a connection that breaks during the login does not show the password either', async t => {
  const server = await soapServer(t, operation => operation === 'Login' ? { end: 'reset' } : undefined)
  const error: unknown = await VsphereSession.open(addressOf(server), soon()).catch((e: unknown) => e)
  t.match(error, { code: 'VSPHERE_UNREACHABLE' })
  t.notMatch(traces(error), /hunter2|Envelope/)
})

t.test('a server that echoes the password in its text is not quoted', async t => {
  const server = await soapServer(t, operation => operation === 'Login' ? { status: 200, raw: `<oops>${PASSWORD}` } : undefined)
  const error: unknown = await VsphereSession.open(addressOf(server), soon()).catch((e: unknown) => e)
  t.notMatch(traces(error), /hunter2/)
})

t.test('a session that the server has ended is renewed once, without the old cookie', async t => {
  const server = await soapServer(t, (operation, times) => operation === 'CancelTask' ? times === 0 ? { fault: 'NotAuthenticated' } : '' : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  await cancel(session)
  t.equal(session.logins, 2)
  t.strictSame(server.received.map(r => r.operation), ['RetrieveServiceContent', 'Login', 'CancelTask', 'Login', 'CancelTask'])
  t.equal(server.received[3]?.cookie, '', 'a login with a cookie would be refused')
})

t.test('calls that meet the end of the session together log in once', async t => {
  const server = await soapServer(t, (operation, times, cookie) => {
    if (operation === 'Login' && times > 0) return { headers: { 'set-cookie': 'vmware_soap_session="new"; Path=/' }, inner: '' }
    return operation === 'CancelTask' ? cookie.includes('new') ? '' : { fault: 'NotAuthenticated' } : undefined
  })
  await using session = await VsphereSession.open(addressOf(server), soon())
  await Promise.all([cancel(session), cancel(session), cancel(session)])
  t.equal(session.logins, 2)
})

t.test('a session that ends again at once is an error, not a loop', async t => {
  const server = await soapServer(t, operation => operation === 'CancelTask' ? { fault: 'NotAuthenticated' } : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  await t.rejects(cancel(session), { code: 'VSPHERE_LOGIN' })
  t.equal(server.received.filter(r => r.operation === 'Login').length, 2)
})

t.test('a refused new login is VSPHERE_LOGIN', async t => {
  const server = await soapServer(t, (operation, times) => {
    if (operation === 'Login' && times > 0) return { fault: 'InvalidLogin' }
    return operation === 'CancelTask' ? { fault: 'NotAuthenticated' } : undefined
  })
  await using session = await VsphereSession.open(addressOf(server), soon())
  await t.rejects(cancel(session), { code: 'VSPHERE_LOGIN', message: /as operator/ })
})

t.test('properties that were not read for want of a session renew it', async t => {
  const missing = '<returnval><objects><obj type="Task">task-1</obj><missingSet><path>info</path><fault><fault xsi:type="NotAuthenticated"/><localizedMessage/></fault></missingSet></objects></returnval>'
  const server = await soapServer(t, (operation, times) => operation === 'RetrievePropertiesEx' ? times === 0 ? missing : '<returnval></returnval>' : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  const { readObject } = await import('../../../src/hypervisor/vsphere-properties.ts')
  await readObject(session, ref('Task', 'task-1'), ['info'], { signal: soon(), doing: 'read' })
  t.equal(session.logins, 2)
})

t.test('an empty answer with status 200 is no success', async t => {
  const server = await soapServer(t, operation => operation === 'CancelTask' ? { status: 200, raw: '' } : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  await t.rejects(cancel(session), { code: 'VSPHERE_UNREACHABLE', message: /cannot cancel the task/ })
})

t.test('an answer cut in the middle, HTML and a reset are VSPHERE_UNREACHABLE', async t => {
  const answers = [{ status: 200, raw: '<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="x"><soapenv:Body>' }, { status: 503, raw: '<html>503 Service Unavailable</html>' }, { end: 'reset' }] as const
  for (const answer of answers) {
    const server = await soapServer(t, operation => operation === 'CancelTask' ? answer : undefined)
    await using session = await VsphereSession.open(addressOf(server), soon())
    await t.rejects(cancel(session), { code: 'VSPHERE_UNREACHABLE' }, JSON.stringify(answer))
  }
})

t.test('a server that does not answer in time is VSPHERE_TIMEOUT', async t => {
  const server = await soapServer(t, operation => operation === 'CancelTask' ? { end: 'hang' } : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  await t.rejects(cancel(session, { timeoutMs: 100 }), { code: 'VSPHERE_TIMEOUT', message: /cannot cancel the task/ })
})

t.test('an abort ends a call with the reason of the signal, and one before sends nothing', async t => {
  const server = await soapServer(t, operation => operation === 'CancelTask' ? { end: 'hang' } : undefined)
  await using session = await VsphereSession.open(addressOf(server), soon())
  const stop = new AbortController()
  setTimeout(() => { stop.abort(new Error('the user stopped it')) }, 50)
  await t.rejects(cancel(session, { signal: stop.signal }), { message: 'the user stopped it' })
  await t.rejects(cancel(session, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  t.equal(server.received.filter(r => r.operation === 'CancelTask').length, 1)
})

t.test('nobody listening is VSPHERE_UNREACHABLE', async t => {
  await t.rejects(VsphereSession.open({ host: '127.0.0.1', port: 1, user: 'u', password: 'p', thumbprint: '' }, soon()), { code: 'VSPHERE_UNREACHABLE', message: /127\.0\.0\.1:1/ })
})

t.test('a web server that is no VMware server is VSPHERE_UNREACHABLE', async t => {
  const server = await soapServer(t, operation => operation === 'RetrieveServiceContent' ? { status: 404, raw: '<html>not here</html>' } : undefined)
  await t.rejects(VsphereSession.open(addressOf(server), soon()), { code: 'VSPHERE_UNREACHABLE' })
})
