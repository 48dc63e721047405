import t from 'tap'
import { eventStream, problem, run, startAppliance } from './fake-appliance.ts'
import { jobView } from './records.ts'

const proof = { hostName: 'web1', systemState: 'running', failedUnits: [], addresses: ['192.0.2.10'], scriptOutput: '', bootedAtUtc: '2026-01-02T03:05:00Z' }

t.test('without --wait it says that it has begun', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/cutover', { status: 202, body: jobView({ state: 'cutting-over' }) })
  t.match(await run(appliance, ['job', 'cutover', 'x']), { code: 0, out: 'The cutover of job move-web1 has begun. See it with: landfall job watch j-1\n' })
})

t.test('with --wait it ends with the proof that the replica booted', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/cutover', { status: 202, body: jobView({ state: 'cutting-over' }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: jobView({ state: 'cutting-over', activity: 'drains' }) }, { event: 'job', data: jobView({ state: 'completed', proof, downtimeMs: 21_500 }) }], true))
  const { code, out } = await run(appliance, ['job', 'cutover', 'x', '--wait'])
  t.equal(code, 0)
  t.match(out, /cutting-over {2}drains[\s\S]*Host name: +web1\nAddresses: +192.0.2.10\nSystem: +running\nDowntime: +22 s\n$/)
})

t.test('a replica that does not prove its boot ends it with the error of the job', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/cutover', { status: 202, body: jobView({ state: 'cutting-over' }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: jobView({ state: 'failed', lastError: { code: 'BOOT_NOT_PROVEN', message: 'no sign within 10 minutes', operator: 'o', atUtc: '2026-01-02T03:00:00Z' } }) }], true))
  t.match(await run(appliance, ['job', 'cutover', 'x', '--wait']), { code: 6, err: /BOOT_NOT_PROVEN/ })
})

t.test('a cutover that is undone ends it with the reason, although the job protects again', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/cutover', { status: 202, body: jobView({ state: 'cutting-over' }) })
  const lastError = { code: 'VSPHERE_BUSY', message: 'disk0.vmdk is in use', operator: 'o', atUtc: '2026-01-02T03:00:00Z' }
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: jobView({ state: 'cutting-over' }) }, { event: 'job', data: jobView({ state: 'provisioning', lastError }) }], true))
  t.match(await run(appliance, ['job', 'cutover', 'x', '--wait']), { code: 8, err: /undone: disk0.vmdk is in use.*VSPHERE_BUSY/s })
})

t.test('before the mirror is complete it is refused', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/cutover', problem('JOB_TRANSITION_INVALID', 'job x is mirroring: cutover is not offered'))
  t.match(await run(appliance, ['job', 'cutover', 'x']), { code: 4, err: /mirroring/ })
})
