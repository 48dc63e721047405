import { connect } from 'node:tls'
import { once } from 'node:events'
import t from 'tap'
import { pino } from 'pino'
import { z } from 'zod'
import { auditor, told } from '../../../src/api/audit.ts'
import { endpoint } from '../../../src/api/endpoint.ts'
import { ApiServer } from '../../../src/api/server.ts'
import { Problem } from '../../../src/domain/server.ts'
import { ApiWorld } from './api-world.ts'

const bodies = z.object({ x: z.number() })

t.test('health and the OpenAPI document need no token, everything else does', async t => {
  await using api = await ApiWorld.open(t.testdir())
  t.equal((await api.call('GET', '/health', { token: null })).status, 200)
  t.equal((await api.call('GET', '/openapi.json', { token: null })).status, 200)
  const answer = await api.call('GET', '/jobs', { token: null })
  t.equal(answer.status, 401)
  t.equal(answer.headers['www-authenticate'], 'Bearer')
})

t.test('every error is a problem+json with code and advice, and no stack', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const answer = await api.call('GET', '/jobs/nothing')
  t.equal(answer.status, 404)
  t.match(answer.headers['content-type'], /^application\/problem\+json/)
  t.match(Problem.parse(answer.json), { code: 'JOB_NOT_FOUND', detail: 'there is no job nothing', operator: /job list/ })
  t.notMatch(answer.text, /stack|\.ts:/)
})

t.test('an unexpected error tells the client nothing, and the log everything', async t => {
  const secret = 'details that are nobody\'s business'
  const broken = endpoint({ id: 'broken', method: 'get', path: '/broken', summary: '', access: 'monitor', status: 200, answer: z.string() }, async () => { throw new Error(secret) })
  await using api = await ApiWorld.open(t.testdir(), [broken])
  const answer = await api.call('GET', '/broken')
  t.equal(answer.status, 500)
  t.equal(Problem.parse(answer.json).code, 'INTERNAL')
  t.notMatch(answer.text, secret)
  t.ok(api.lines.some(line => line.includes(secret)))
})

t.test('a path or a method that is not offered is ROUTE_NOT_FOUND', async t => {
  await using api = await ApiWorld.open(t.testdir())
  t.equal(await api.refusal('GET', '/nothing'), 'ROUTE_NOT_FOUND')
  t.equal(await api.refusal('PUT', '/jobs'), 'ROUTE_NOT_FOUND')
})

t.test('a body that is no JSON, not said to be JSON, or too long is REQUEST_INVALID', async t => {
  await using api = await ApiWorld.open(t.testdir())
  t.equal(await api.refusal('POST', '/sources', { raw: '{' }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/sources', { raw: '{"name":"a"}', headers: { 'content-type': 'text/plain' } }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/sources', { raw: `{"name":"${'a'.repeat(300_000)}"}` }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/sources', { raw: '"a"' }), 'REQUEST_INVALID')
  t.equal(await api.refusal('POST', '/sources'), 'REQUEST_INVALID')
})

t.test('an answer is cut to its schema', async t => {
  const wide = endpoint({ id: 'wide', method: 'get', path: '/wide', summary: '', access: 'monitor', status: 200, answer: bodies }, async () => ({ x: 1, password: 'secret' }))
  await using api = await ApiWorld.open(t.testdir(), [wide])
  t.strictSame((await api.call('GET', '/wide')).json, { x: 1 })
})

t.test('nothing tells which software answers, and nothing is cached', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const { headers } = await api.call('GET', '/jobs')
  t.equal(headers['x-powered-by'], undefined)
  t.equal(headers['cache-control'], 'no-store')
})

const Audited = z.object({ audit: z.string(), user: z.string(), outcome: z.string(), query: z.unknown().optional(), body: z.unknown().optional(), parameters: z.unknown() })
const audited = (api: ApiWorld): z.infer<typeof Audited>[] => api.lines.filter(line => line.includes('"audit"')).map(line => Audited.parse(JSON.parse(line)))

t.test('each change by a user is in the audit log with its name and what it was, also a refused one; passwords are not', async t => {
  await using api = await ApiWorld.open(t.testdir())
  await api.call('POST', '/vmware', { body: { name: 'lab', host: 'esx', user: 'root', password: 'open sesame' } })
  await api.call('POST', '/sources', { body: { name: 'shop' } })
  await api.call('POST', '/sources', { body: { name: 'shop', pasword: 'typed wrong' } })
  await api.call('DELETE', '/sources/shop', { token: await api.tokenFor('monitor') })
  await api.call('POST', '/jobs/j/actions/remove?keepDisks=true', { token: null })
  await api.call('GET', '/jobs')
  t.match(audited(api), [
    { audit: 'vmware.add', user: 'admin of the test', outcome: 'CERTIFICATE_UNTRUSTED', body: { host: 'esx', password: '[secret]' } },
    { audit: 'source.add', user: 'admin of the test', outcome: 'done', body: { name: 'shop' } },
    { audit: 'source.add', outcome: 'REQUEST_INVALID', body: undefined },
    { audit: 'source.remove', outcome: 'ACCESS_FORBIDDEN', parameters: { source: 'shop' } },
    { audit: 'job.act', user: '', outcome: 'ACCESS_DENIED', parameters: { job: 'j', action: 'remove' } },
  ])
  t.equal(audited(api).length, 5, 'reading is no change')
  t.notOk(api.lines.some(line => /open sesame|typed wrong|lf_/.test(line)), 'neither password nor token')
})

t.test('the audit log keeps no secret however deep, no long text, and does not heed the level of the log', async t => {
  t.strictSame(told({ a: [{ b: { passphrase: 'x', text: 'y'.repeat(300) } }], token: 't' }), { a: [{ b: { passphrase: '[secret]', text: `${'y'.repeat(200)}…` } }], token: '[secret]' })
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: (line: string) => { lines.push(line) } })
  auditor({ id: 'job.act', method: 'post', path: '/', summary: '', access: 'admin', status: 202 }, log)({ address: '192.0.2.1', parameters: {} }, new DOMException('gone', 'AbortError'))
  t.match(lines, [/"outcome":"aborted"/])
})

t.test('a port in use is PORT_UNAVAILABLE', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const { servers, authority, port } = api
  const again = ApiServer.open({
    endpoints: [], access: servers.access, clock: { now: () => 0 }, version: '', tls: await authority.issueServer(['127.0.0.1']), address: '127.0.0.1', port, log: (await import('pino')).pino({ level: 'silent' }),
  })
  await t.rejects(again, { code: 'PORT_UNAVAILABLE', message: /EADDRINUSE/ })
})

t.test('garbage on the port disturbs nobody', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const socket = connect({ host: '127.0.0.1', port: api.port, ca: api.authority.certificatePem })
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  socket.end('\0\x01garbage\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  t.equal((await api.call('GET', '/health', { token: null })).status, 200)
})
