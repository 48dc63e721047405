import { join } from 'node:path'
import t from 'tap'
import { z } from 'zod'
import { Client } from '../../../src/cli/client.ts'
import { readSettings } from '../../../src/cli/settings.ts'
import { problem, startAppliance, type FakeAppliance } from './fake-appliance.ts'

const signal = AbortSignal.timeout(20_000)
const Anything = z.unknown()

async function clientOf(appliance: FakeAppliance, changes: Record<string, string> = {}): Promise<Client> {
  return new Client(await readSettings({}, { LANDFALL_URL: appliance.url, LANDFALL_CA: appliance.caFile, LANDFALL_TOKEN: 'secret-token', ...changes }))
}

t.test('the token goes along and the answer is checked', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs', { status: 200, body: [1, 2] })
  const client = await clientOf(appliance)
  t.same(await client.get('/jobs', z.array(z.number()), { signal }), [1, 2])
  t.equal(appliance.seen[0]?.authorization, 'Bearer secret-token')
  await t.rejects(client.get('/jobs', z.array(z.string()), { signal }), { code: 'ANSWER_INVALID' })
  client.close()
})

t.test('a body is sent as JSON', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs', { status: 201, body: {} })
  const client = await clientOf(appliance)
  await client.post('/jobs', Anything, { body: { name: 'ü' }, signal })
  t.same(appliance.seen[0]?.body, { name: 'ü' })
  client.close()
})

t.test('a problem keeps its code, and is the cause', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x', problem('JOB_NOT_FOUND', 'there is no job x'))
  const client = await clientOf(appliance)
  await t.rejects(client.get('/jobs/x', Anything, { signal }), { code: 'JOB_NOT_FOUND', message: 'there is no job x', cause: { status: 404 } })
  client.close()
})

t.test('an error page of something else is ANSWER_INVALID', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs', response => { response.writeHead(502).end('<html>bad gateway</html>') })
  const client = await clientOf(appliance)
  await t.rejects(client.get('/jobs', Anything, { signal }), { code: 'ANSWER_INVALID', message: /502/ })
  client.close()
})

t.test('an appliance of another CA, or of another name, is not trusted', async t => {
  const dir = t.testdir({ a: {}, b: {}, c: {} })
  await using appliance = await startAppliance(join(dir, 'a'))
  await using other = await startAppliance(join(dir, 'b'))
  await using elsewhere = await startAppliance(join(dir, 'c'), ['elsewhere.example'])
  const wrongCa = await clientOf(appliance, { LANDFALL_CA: other.caFile })
  await t.rejects(wrongCa.get('/jobs', Anything, { signal }), { code: 'APPLIANCE_UNTRUSTED' })
  const wrongName = await clientOf(elsewhere)
  await t.rejects(wrongName.get('/jobs', Anything, { signal }), { code: 'APPLIANCE_UNTRUSTED' })
  t.equal(appliance.seen.length + elsewhere.seen.length, 0, 'nothing was sent')
})

t.test('nobody at the port is LINK_REFUSED', async t => {
  const appliance = await startAppliance(t.testdir({}))
  const client = await clientOf(appliance)
  await appliance[Symbol.asyncDispose]()
  await t.rejects(client.get('/jobs', Anything, { signal }), { code: 'LINK_REFUSED' })
})

t.test('no answer within the deadline is LINK_REFUSED', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs', () => { t.comment('keeps silent') })
  const client = await clientOf(appliance)
  await t.rejects(client.get('/jobs', Anything, { signal, timeoutMs: 50 }), { code: 'LINK_REFUSED', message: /did not answer/ })
})

t.test('an abort is an abort', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const stop = new AbortController()
  appliance.on('GET /jobs', () => { stop.abort() })
  const client = await clientOf(appliance)
  await t.rejects(client.get('/jobs', Anything, { signal: stop.signal }), { name: 'AbortError' })
})
