/** Test cutovers beside replication: proved, undone, failed, killed; the source never notices. */
import t, { type Test } from 'tap'
import { offeredActions } from '../../src/job/job-state.ts'
import { mirrors, NETWORK, thrownAway, untilTest } from './tests.ts'
import { World } from './world.ts'

/** What a test may never have done to the source, and what of it may not be left. */
function nothingLeft(t: Test, world: World, mirrored = 1): void {
  t.equal(world.source.calls.filter(c => c === 'drain' || c === 'power-off').length, 0, 'the source was neither frozen nor switched off')
  t.equal(mirrors(world), mirrored, mirrored === 1 ? 'no new mirror was needed' : 'what had been sent into stand-ins was mirrored')
  t.strictSame(thrownAway(world), [], 'no copy and no child is left')
  t.equal(world.hypervisor.vms.size, 0, 'no VM is left')
}

t.test('a test cutover boots from copies on the isolated network while replication goes on, and is undone without a trace; then the cutover works', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  t.ok(offeredActions(await engine.get(id)).includes('test-cutover'))
  await engine.act(id, 'test-cutover', NETWORK)
  const proved = await untilTest(world, 'proved', 'failed')
  t.match(proved, { state: 'proved', network: 'Isolated', hasVm: true, proof: { systemState: 'running' }, screenshot: { bytes: 8 } })
  t.equal(Buffer.from(await engine.screenshot(id, 'test-cutover')).toString(), 'a screen')
  await t.rejects(engine.screenshot(id, 'cutover'), { code: 'SCREENSHOT_NOT_FOUND' }, 'that of the cutover is another one')
  t.strictSame([...world.hypervisor.vms.values()].map(vm => [vm.name, vm.power]), [['shop-replica-test', 'on']])
  const own = [...world.hypervisor.disks.values()].filter(d => d.holder === 'appliance').map(d => d.disk.path)
  const copies = [...world.hypervisor.disks.values()].filter(d => d.holder === 'shop-replica-test').map(d => d.disk.path)
  t.equal(own.length, copies.length, 'the replica\'s disks are with the appliance, their copies with the test VM')
  t.equal((await world.replicating())?.state, 'protecting')
  t.notOk(offeredActions(await engine.get(id)).includes('cutover'))
  await t.rejects(engine.act(id, 'cutover'), { code: 'JOB_TRANSITION_INVALID', message: /--undo/ })
  await t.rejects(engine.act(id, 'test-cutover', NETWORK), { code: 'JOB_TRANSITION_INVALID' })
  await engine.act(id, 'undo-test-cutover')
  await untilTest(world, 'undone')
  nothingLeft(t, world)
  await t.rejects(engine.act(id, 'undo-test-cutover'), { code: 'JOB_TRANSITION_INVALID' })
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('a test cutover from children needs no copies; replication goes on into stand-ins, nothing is written to the parents until it is undone, and a mirror brings what differs', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'test-cutover', { ...NETWORK, testDisks: 'children' })
  t.match(await untilTest(world, 'proved', 'failed'), { state: 'proved', kind: 'children', hasVm: true, proof: { systemState: 'running' } })
  t.notOk(world.hypervisor.calls.includes('copy-disk'))
  t.equal((await world.replicating())?.state, 'protecting')
  const holders = (): string[] => [...world.hypervisor.disks.values()].map(d => `${d.parent === undefined ? 'disk' : 'child'} ${d.holder}`).toSorted()
  const own = [...world.hypervisor.disks.values()].filter(d => d.parent === undefined).length
  const wanted = ['child appliance', 'child shop-replica-test', 'disk '].flatMap(held => Array.from({ length: own }, () => held))
  t.strictSame(holders(), wanted, 'nobody has the replica\'s disks; the test VM has children of them, and the appliance has')
  t.ok((await engine.history(id, 0, 200)).some(e => e.message.includes('goes on into stand-ins')))
  await t.rejects(engine.act(id, 'cutover'), { code: 'JOB_TRANSITION_INVALID', message: /--undo/ })
  const again = await world.start()
  t.match(await world.replicating(), { state: 'protecting', testCutover: { state: 'proved' } })
  t.strictSame(holders(), wanted, 'a restart of the appliance leaves them as they are')
  const before = world.source.settledBefore.length
  await again.act(id, 'undo-test-cutover')
  await untilTest(world, 'undone')
  await world.replicating()
  nothingLeft(t, world, 2)
  t.strictSame(world.source.settledBefore.slice(before).map(ms => typeof ms), ['number'], 'the mirror knows since when the replica\'s disks have missed changes')
  await again.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('what stand-ins hold is not thrown away while the source is away, who alone has it then; removing the job does not wait', async t => {
  for (const action of ['undo-test-cutover', 'remove'] as const) {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    await engine.act(id, 'test-cutover', { ...NETWORK, testDisks: 'children' })
    await untilTest(world, 'proved')
    await world.replicating()
    const standIns = thrownAway(world).filter(path => path.includes('-meanwhile/'))
    t.ok(standIns.length > 0)
    world.source.disconnect()
    await engine.act(id, action)
    if (action === 'remove') {
      while (engine.list().length > 0) await new Promise(resolve => { setImmediate(resolve) })
      t.equal(world.hypervisor.disks.size, 0)
      continue
    }
    for (let i = 0; i < 500; i += 1) await new Promise(resolve => { setImmediate(resolve) })
    t.strictSame(thrownAway(world).filter(path => path.includes('-meanwhile/')), standIns, action)
    t.match((await engine.get(id)), { health: 'warning', activity: /when the source is connected/ })
    world.source.connect()
    await untilTest(world, 'undone')
    await world.replicating()
    nothingLeft(t, world, 2)
  }
})

for (const action of ['stop', 'remirror', 'agent restarts'] as const) {
  t.test(`a test that reads from the replica's disks stays when the flow begins anew (${action}), which goes into the stand-ins`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    await engine.act(id, 'test-cutover', { ...NETWORK, testDisks: 'children' })
    await untilTest(world, 'proved')
    await world.replicating()
    if (action === 'agent restarts') world.source.restartAgent()
    else await engine.act(id, action)
    if (action === 'stop') {
      await world.until('stopped')
      await engine.act(id, 'start')
    }
    // who starts again at once has missed nothing
    const mirrored = action === 'stop' ? 1 : 2
    while (mirrors(world) < mirrored) await new Promise(resolve => { setImmediate(resolve) })
    t.match(await world.replicating(), { state: 'protecting', testCutover: { state: 'proved' } })
    t.ok([...world.hypervisor.disks.values()].every(d => (d.parent === undefined ? d.holder === '' : d.holder !== '')), 'nobody has the replica\'s own disks')
    await engine.act(id, 'undo-test-cutover')
    await untilTest(world, 'undone')
    while (mirrors(world) < mirrored + 1) await new Promise(resolve => { setImmediate(resolve) })
    await world.replicating()
    nothingLeft(t, world, mirrored + 1)
  })
}

for (const testDisks of ['copies', 'children'] as const) {
  t.test(`a test from ${testDisks} that is kept for a time is undone by itself, and one that could not be undone is tried again`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    await engine.act(id, 'test-cutover', { ...NETWORK, testDisks, keepMs: 3600_000 })
    const proved = await untilTest(world, 'proved')
    world.fail('hypervisor.deleteDisk', 'VSPHERE_BUSY')
    const undone = await untilTest(world, 'undone')
    t.ok(Date.parse(undone.endedAtUtc ?? '') - Date.parse(proved.endedAtUtc ?? '') >= 2 * 3600_000, 'after an hour, and after another one')
    await world.replicating()
    nothingLeft(t, world, testDisks === 'copies' ? 1 : 2)
  })
}

t.test('a network of the job itself is refused, and so is none, and one that is not there fails before anything is copied', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await t.rejects(engine.act(id, 'test-cutover', { network: 'VM Network' }), { code: 'TEST_NETWORK_REFUSED' })
  await t.rejects(engine.act(id, 'test-cutover'), { code: 'REQUEST_INVALID' })
  await engine.act(id, 'test-cutover', { network: 'Nowhere' })
  t.match((await untilTest(world, 'failed')).message, /Nowhere/)
  t.notOk(world.hypervisor.calls.includes('copy-disk'))
  await world.replicating()
  nothingLeft(t, world)
})

for (const [call, code] of [['volumes.release', 'TOOL_FAILED'], ['hypervisor.detachDisks', 'VSPHERE_FAULT'], ['hypervisor.copyDisk', 'VSPHERE_NO_SPACE'], ['volumes.unmark', 'REPLICA_ROOT_FOREIGN'],
  ['replica.makeBootable', 'BOOT_FIXUP_FAILED'], ['hypervisor.createVm', 'VM_NAME_TAKEN'], ['hypervisor.power', 'VSPHERE_FAULT']] as const) {
  t.test(`a test cutover in which ${call} fails with ${code} leaves nothing, and replication goes on`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    world.fail(call, code)
    await engine.act(id, 'test-cutover', NETWORK)
    t.match((await untilTest(world, 'failed', 'proved')).message, /failed/)
    await world.replicating()
    nothingLeft(t, world)
    t.ok((await engine.history(id, 0, 200)).some(e => e.kind === 'test-cutover' && e.message.includes('failed')))
  })
}

t.test('a test VM that gives no sign of life is told, stays to be looked at, and one command undoes it', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'test-cutover', NETWORK)
  const failed = await untilTest(world, 'failed')
  t.match(failed.message, /no sign of life/)
  t.match(failed.screenshot, { bytes: 8 }, 'what it showed instead was kept')
  t.ok(failed.hasVm)
  t.ok((await engine.history(id, 0, 200)).some(e => e.message.includes('landfall job test-cutover move-shop --undo')))
  await engine.act(id, 'undo-test-cutover')
  await untilTest(world, 'undone')
  nothingLeft(t, world)
})

t.test('what cannot be undone is told and tried again; removing the job removes its test', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'test-cutover', NETWORK)
  await untilTest(world, 'proved')
  world.fail('hypervisor.deleteDisk', 'VSPHERE_BUSY')
  await engine.act(id, 'undo-test-cutover')
  t.match((await untilTest(world, 'failed')).message, /could not be undone/)
  world.fail('hypervisor.deleteDisk', 'VSPHERE_BUSY')
  await engine.act(id, 'remove')
  t.equal((await world.until('failed', 'removed'))?.state, 'failed')
  await engine.act(id, 'remove')
  while (engine.list().length > 0) await new Promise(resolve => { setImmediate(resolve) })
  t.equal(world.hypervisor.disks.size, 0)
  t.equal(world.hypervisor.vms.size, 0)
})

for (const action of ['stop', 'remirror'] as const) {
  t.test(`a ${action} in the middle of the copying ends the test, and its copies are gone before the replica's disks are back`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    const seen = { copying: false }
    world.hypervisor.copyDisk = async (_disk, _path, signal) => {
      seen.copying = true
      return await new Promise<never>((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true }) })
    }
    await engine.act(id, 'test-cutover', NETWORK)
    while (!seen.copying) await new Promise(resolve => { setImmediate(resolve) })
    const before = world.hypervisor.calls.length
    await engine.act(id, action)
    if (action === 'stop') {
      await world.until('stopped')
      await engine.act(id, 'start')
    }
    await untilTest(world, 'failed')
    await world.replicating()
    const calls = world.hypervisor.calls.slice(before)
    t.ok(calls.includes('delete-disk') && calls.indexOf('delete-disk') < calls.indexOf('attach-disk'), calls.join(' '))
    t.strictSame([...world.hypervisor.disks.keys()].filter(path => path.includes('-test/')), [])
    t.ok(offeredActions(await engine.get(id)).includes('test-cutover'))
  })
}
