import t from 'tap'
import { problem, run, startAppliance } from './fake-appliance.ts'

t.test('a server is removed, with a name that must be escaped too', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('DELETE /sources/a%2Fb', { status: 204 })
  t.match(await run(appliance, ['server', 'remove', 'a/b']), { code: 0, out: 'Removed a/b.\n' })
  t.same(JSON.parse((await run(appliance, ['server', 'remove', 'a/b', '--json'])).out), { removed: 'a/b' })
})

t.test('a server with jobs stays', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('DELETE /sources/web1', problem('SERVER_IN_USE', 'web1 has jobs'))
  t.match(await run(appliance, ['server', 'remove', 'web1']), { code: 4, err: /SERVER_IN_USE.*\nDelete the jobs/ })
})
