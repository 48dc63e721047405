/** A whole job in the user's words, on in-memory versions of everything around it. */
import t from 'tap'
import { World } from './world.ts'

t.test('a server is validated, mirrored, protected and cut over; then the source is off and the replica runs', async t => {
  await using world = new World()
  const engine = await world.start()
  const job = await world.protect()
  t.ok(job.validation.every(finding => finding.severity !== 'error'))
  await engine.act('move-shop', 'cutover')
  const done = await world.until('completed', 'failed')
  t.equal(done?.state, 'completed')
  t.equal(done?.proof?.hostName, 'shop')
  t.ok((done?.downtimeMs ?? -1) >= 0)
  t.equal(world.source.off, true)
  t.strictSame([...world.hypervisor.vms.values()].map(vm => [vm.name, vm.power]), [['shop-replica', 'on']])
  t.strictSame(world.violations, [])
})
