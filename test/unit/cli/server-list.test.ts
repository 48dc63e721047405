import t from 'tap'
import { run, startAppliance } from './fake-appliance.ts'
import { source } from './records.ts'

t.test('sources are listed with their status', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /sources', { status: 200, body: [source, { version: 1, id: 's-2', name: 'db1', status: 'awaiting-enrolment', createdAtUtc: source.createdAtUtc }] })
  const { code, out } = await run(appliance, ['server', 'list'])
  t.equal(code, 0)
  t.equal(out, 'NAME  STATUS              HOST          SYSTEM               AGENT  LAST SEEN\n'
    + 'web1  connected           web1.example  Debian GNU/Linux 12  0.1.0  2026-01-02 03:04:00 UTC\n'
    + 'db1   awaiting enrolment\n')
  t.same((JSON.parse((await run(appliance, ['server', 'list', '--json'])).out) as unknown[])[0], source)
})
