import t from 'tap'
import { run, startAppliance } from './fake-appliance.ts'
import { jobView, mirroring, protecting } from './records.ts'

t.test('jobs are listed with state, progress and latency', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs', { status: 200, body: [jobView(), { ...mirroring(500 * 2 ** 20), name: 'b' }, { ...protecting(), name: 'c', health: 'warning' }] })
  const { code, out } = await run(appliance, ['job', 'list'])
  t.equal(code, 0)
  const lines = out.split('\n')
  t.match(lines[1], /^move-web1 +web1 +created +ok +waits to be validated$/)
  t.match(lines[2], /^b +web1 +mirroring +ok +50.0 % +mirroring$/)
  t.match(lines[3], /^c +web1 +protecting +warning +120 ms +replicating$/)
  t.equal((JSON.parse((await run(appliance, ['job', 'list', '--json'])).out) as unknown[]).length, 3)
})
