/** The appliance is killed at any call of a test cutover, and of its undo. */
import t from 'tap'
import { mirrors, NETWORK, thrownAway, untilTest } from './tests.ts'
import { World } from './world.ts'

for (const testDisks of ['copies', 'children'] as const) t.test(`killed at any call of a test cutover from ${testDisks}, replication goes on and the test can be undone or made anew`, async t => {
  const begin = async (world: World): Promise<string> => {
    await world.start()
    return (await world.protect()).id
  }
  let calls: number
  {
    await using world = new World()
    const id = await begin(world)
    const before = world.calls
    await world.engine?.act(id, 'test-cutover', { ...NETWORK, testDisks })
    await untilTest(world, 'proved')
    calls = world.calls - before
  }
  t.ok(calls > 40, `a test makes ${String(calls)} calls to what is outside`)
  const ends = new Set<string>()
  for (let at = 1; at <= calls; at += 2) {
    await using world = new World()
    const id = await begin(world)
    world.killAt = world.calls + at
    void world.engine?.act(id, 'test-cutover', { ...NETWORK, testDisks }).catch(() => undefined)
    while (!world.isKilled() && world.engine?.list()[0]?.testCutover?.state !== 'proved') await new Promise(resolve => { setImmediate(resolve) })
    world.killAt = Infinity
    const engine = await world.start()
    await world.replicating()
    if (engine.list()[0]?.testCutover === undefined) {
      ends.add('never ordered')
      continue
    }
    const { state } = await untilTest(world, 'failed', 'proved')
    ends.add(state)
    if (state === 'proved') {
      await engine.act(id, 'undo-test-cutover')
      await untilTest(world, 'undone')
    }
    await world.replicating()
    const left = thrownAway(world).length + world.hypervisor.vms.size
    if (left > 0 || mirrors(world) > (testDisks === 'copies' ? 1 : 2)) t.fail(`killed at call ${String(at)}`, { left, mirrors: mirrors(world), state })
  }
  t.ok(ends.has('failed') && ends.has('proved'), [...ends].join(', '))
})

t.test('killed at any call while a test from children is undone, its stand-ins go, and what was written to them comes by a mirror', async t => {
  const begin = async (world: World): Promise<string> => {
    await world.start()
    const { id } = await world.protect()
    await world.engine?.act(id, 'test-cutover', { ...NETWORK, testDisks: 'children' })
    await untilTest(world, 'proved')
    await world.replicating()
    return id
  }
  let calls: number
  {
    await using world = new World()
    const id = await begin(world)
    const before = world.calls
    await world.engine?.act(id, 'undo-test-cutover')
    await untilTest(world, 'undone')
    while (mirrors(world) < 2) await new Promise(resolve => { setImmediate(resolve) })
    await world.replicating()
    calls = world.calls - before
  }
  t.ok(calls > 20, `an undo makes ${String(calls)} calls to what is outside`)
  for (let at = 1; at <= calls; at += 1) {
    await using world = new World()
    const id = await begin(world)
    world.killAt = world.calls + at
    void world.engine?.act(id, 'undo-test-cutover').catch(() => undefined)
    while (!world.isKilled() && mirrors(world) < 2) await new Promise(resolve => { setImmediate(resolve) })
    world.killAt = Infinity
    const engine = await world.start()
    await world.replicating()
    if (engine.list()[0]?.testCutover?.state !== 'undone') {
      await engine.act(id, 'undo-test-cutover').catch(() => undefined)
      await untilTest(world, 'undone')
      await world.replicating()
    }
    while (mirrors(world) < 2) await new Promise(resolve => { setImmediate(resolve) })
    await world.replicating()
    const own = [...world.hypervisor.disks.values()]
    if (thrownAway(world).length + world.hypervisor.vms.size > 0 || own.some(d => d.holder !== 'appliance')) t.fail(`killed at call ${String(at)}`, { left: thrownAway(world), own })
    t.same(world.source.settledBefore.slice(1).filter(ms => ms === undefined), [], `killed at call ${String(at)}: the mirror knows since when changes are missing`)
  }
})
