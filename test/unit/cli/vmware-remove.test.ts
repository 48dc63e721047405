import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'

t.test('a VMware server is removed, an unknown one is told', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('DELETE /vmware/vc1', { status: 204 }, problem('SERVER_NOT_FOUND', 'there is no server vc1'))
  t.match(await run(appliance, ['vmware', 'remove', 'vc1']), { code: 0, out: 'Removed vc1.\n' })
  t.match(await run(appliance, ['vmware', 'remove', 'vc1']), { code: 3 })
})
