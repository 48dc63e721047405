import { join } from 'node:path'
import t from 'tap'
import { readLogin } from '../../../src/cli/settings.ts'
import { run, startAppliance } from './fake-appliance.ts'

const health = { status: 'ok', version: '0.1.0', protocolVersion: 1, startedAtUtc: '2026-01-02T03:00:00Z' }

t.test('the fingerprint is confirmed once, then commands need neither CA nor token', async t => {
  const dir = t.testdir({ appliance: {}, home: {} })
  await using appliance = await startAppliance(join(dir, 'appliance'))
  appliance.on('GET /health', { status: 200, body: health })
  appliance.on('GET /jobs', { status: 200, body: [] })
  const environment = { HOME: join(dir, 'home') }
  const login = await run(undefined, ['login', '--url', appliance.url], { environment, answers: ['y', 'the-token'] })
  t.equal(login.code, 0, login.err)
  t.match(login.err, appliance.sha256)
  t.notMatch(login.out + login.err, /the-token/)
  const list = await run(undefined, ['job', 'list'], { environment })
  t.equal(list.code, 0, list.err)
  t.equal(appliance.seen.at(-1)?.authorization, 'Bearer the-token')
})

t.test('a CA that is not confirmed is not stored, and no token is sent', async t => {
  const dir = t.testdir({ appliance: {}, home: {} })
  await using appliance = await startAppliance(join(dir, 'appliance'))
  const environment = { HOME: join(dir, 'home'), LANDFALL_TOKEN: 'x' }
  const refused = await run(undefined, ['login', '--url', appliance.url], { environment, answers: ['n'] })
  t.match(refused, { code: 5, err: /APPLIANCE_UNTRUSTED/ })
  t.match(await run(undefined, ['login', '--url', appliance.url], { environment }), { code: 5, err: /nobody can be asked/ })
  t.match(await run(undefined, ['login', '--url', appliance.url, '--ca-sha256', 'ab'.repeat(32)], { environment }), { code: 5, err: /not the expected one/ })
  t.equal(await readLogin(environment), undefined)
  t.same(appliance.seen, [])
})

t.test('an expected fingerprint answers for a person, with or without colons', async t => {
  const dir = t.testdir({ appliance: {}, home: {} })
  await using appliance = await startAppliance(join(dir, 'appliance'))
  appliance.on('GET /health', { status: 200, body: health })
  const environment = { HOME: join(dir, 'home'), LANDFALL_TOKEN: 'x' }
  const colons = appliance.sha256.toUpperCase().replace(/(..)(?=.)/g, '$1:')
  t.match(await run(undefined, ['login', '--url', appliance.url, '--ca-sha256', colons, '--json'], { environment }), { code: 0, out: /"version": "0.1.0"/ })
})

t.test('nobody at the address is unreachable', async t => {
  t.match(await run(undefined, ['login', '--url', 'https://localhost:1'], { environment: { HOME: t.testdir({}) } }), { code: 6, err: /LINK_REFUSED/ })
})
