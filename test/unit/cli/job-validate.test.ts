import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { eventStream, run, startAppliance, type FakeAppliance } from './fake-appliance.ts'
import { jobView } from './records.ts'

const checks: Finding[] = [
  { code: 'MEMORY', severity: 'ok', subject: 'memory', message: '2 GiB', advice: '' },
  { code: 'NETWORK_NOT_FOUND', severity: 'error', subject: 'eth0', message: 'there is no network Lab', advice: 'Map the adapter to another network.' },
]

function validating(appliance: FakeAppliance, end: ReturnType<typeof jobView>): void {
  appliance.on('POST /jobs/x/actions/validate', { status: 202, body: jobView({ state: 'validating' }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: jobView({ state: 'validating' }) }]), eventStream([{ event: 'job', data: end }], true))
  appliance.on('GET /jobs/j-1', { status: 200, body: end })
}

t.test('it waits, shows every check with the worst first, and ends with 4 when one is an error', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  validating(appliance, jobView({ state: 'invalid', validation: checks }))
  const { code, out, err } = await run(appliance, ['job', 'validate', 'x'])
  t.equal(code, 4)
  t.match(out, /error +NETWORK_NOT_FOUND +eth0 +there is no network Lab\n +-> Map the adapter to another network\.\nok +MEMORY/)
  t.match(out, /1 error, 0 warnings, 1 ok\./)
  t.match(err, /JOB_VALIDATION_FAILED/)
})

t.test('a job that passes ends with 0 and says what comes next', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  validating(appliance, jobView({ state: 'ready', validation: checks.slice(0, 1) }))
  t.match(await run(appliance, ['job', 'validate', 'x']), { code: 0, out: /0 errors, 0 warnings, 1 ok. Next: landfall job start move-web1/ })
})

t.test('for machines there is the job, or the problem', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  validating(appliance, jobView({ state: 'ready', validation: checks.slice(0, 1) }))
  t.match(JSON.parse((await run(appliance, ['job', 'validate', 'x', '--json'])).out), { state: 'ready', validation: [{ code: 'MEMORY' }] })
  validating(appliance, jobView({ state: 'invalid', validation: checks }))
  const failed = await run(appliance, ['job', 'validate', 'x', '--json'])
  t.match(JSON.parse(failed.out), { code: 'JOB_VALIDATION_FAILED' })
  t.match(failed.err, /NETWORK_NOT_FOUND/)
})

t.test('a validation that breaks is the error of the job', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  validating(appliance, jobView({ state: 'failed', lastError: { code: 'SOURCE_NOT_CONNECTED', message: 'web1 is away', operator: 'o', atUtc: '2026-01-02T03:00:00Z' } }))
  t.match(await run(appliance, ['job', 'validate', 'x']), { code: 6, err: /job move-web1 failed: web1 is away \(SOURCE_NOT_CONNECTED\)/ })
})
