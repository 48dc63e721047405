/** What a mirror after forgotten changes may believe of the replica, on in-memory versions of everything around the job. */
import t from 'tap'
import { World } from './world.ts'

const IN_FLIGHT_MS = 10_000

t.test('when a capture has gone, what was written since its last report is not believed to be what its attributes say', async t => {
  await using world = new World()
  world.source.latencyMs = 3000
  await world.start()
  await world.protect()
  const reportedMs = world.clock.now()
  t.same(world.source.settledBefore, [undefined], 'a first mirror has nothing to mistrust')
  world.source.restartAgent()
  await world.until('mirroring')
  await world.replicating()
  const [, afterRestart] = world.source.settledBefore
  t.ok(afterRestart !== undefined && afterRestart <= reportedMs - 3000 - IN_FLIGHT_MS + 1, `${String(afterRestart)} of ${String(reportedMs)}`)
  world.source.overflow()
  await world.until('mirroring')
  await world.replicating()
  t.ok((world.source.settledBefore[2] ?? 0) > 0, 'also where the same capture goes on, but has lost changes')
})

t.test('a stop forgets changes, a mirror that a person asks for does not', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'remirror')
  await world.until('mirroring')
  await world.replicating()
  t.same(world.source.settledBefore, [undefined, undefined], 'the capture went on')
  await engine.act(id, 'stop')
  while (!world.source.calls.includes('release')) await new Promise(resolve => { setImmediate(resolve) })
  await engine.act(id, 'start')
  await world.until('mirroring')
  await world.replicating()
  t.ok((world.source.settledBefore[2] ?? 0) > 0)
})
