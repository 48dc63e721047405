import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'
import { jobView } from './records.ts'

t.test('start, stop, retry and remirror ask exactly that', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const cases = [['start', 'provisioning'], ['stop', 'stopped'], ['retry', 'validating'], ['remirror', 'mirroring']] as const
  for (const [action, state] of cases) {
    appliance.on(`POST /jobs/move%20web1/actions/${action}`, { status: 202, body: jobView({ state }) })
    t.match(await run(appliance, ['job', action, 'move web1']), { code: 0, out: new RegExp(`^Job move-web1 is ${state}\\. `) })
    t.match(JSON.parse((await run(appliance, ['job', action, 'move web1', '--json'])).out), { state })
  }
})

t.test('what the state does not offer is refused with 4', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('POST /jobs/x/actions/stop', problem('JOB_TRANSITION_INVALID', 'job x is created: stop is not offered'))
  t.match(await run(appliance, ['job', 'stop', 'x']), { code: 4, err: /lists the actions offered now/ })
})
