import t from 'tap'
import { run, startAppliance } from './fake-appliance.ts'
import { source } from './records.ts'

const offer = { source: { ...source, status: 'awaiting-enrolment' }, token: 't-1', caSha256: 'ab', command: 'landfall-agent enrol --appliance x --token t-1', expiresAtUtc: '2026-01-02T04:00:00.000Z' }

t.test('standard output is the one command to run on the source', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /sources', { status: 201, body: offer })
  const { code, out, err } = await run(appliance, ['server', 'add', 'web1', '--role', 'source', '--valid-hours', '2'])
  t.equal(code, 0)
  t.equal(out, `${offer.command}\n`)
  t.match(err, /Run this on it as root before 2026-01-02 04:00:00 UTC/)
  t.same(appliance.seen[0]?.body, { name: 'web1', tokenValidMs: 7200_000 })
})

t.test('for machines there is the whole offer', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /sources', { status: 201, body: offer })
  const { out } = await run(appliance, ['server', 'add', 'web1', '--json'])
  t.same(JSON.parse(out), offer)
})

t.test('a name that no server can have is refused before anything is sent', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  t.match(await run(appliance, ['server', 'add', '../x']), { code: 2, err: /name: letters, digits/ })
  t.match(await run(appliance, ['server', 'add', 'x', '--role', 'vmware']), { code: 2 })
  t.same(appliance.seen, [])
})
