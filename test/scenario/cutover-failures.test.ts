/** What can go wrong in a cutover, at every step: the source runs on, nothing is lost, and the next try works. */
import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import type { ErrorCode } from '../../src/errors/codes.ts'
import { World } from './world.ts'

const BEFORE_POWER_ON: readonly (readonly [string, ErrorCode])[] = [
  ['source.drain', 'LINK_LOST'], ['source.drain', 'FREEZE_FAILED'], ['source.drain', 'REPLICA_FULL'], ['tree.flush', 'REPLICA_WRITE'], ['source.hold', 'INTERNAL'],
  ['replica.makeBootable', 'BOOT_FIXUP_FAILED'], ['volumes.release', 'VOLUME_DAMAGED'], ['hypervisor.detachDisks', 'VSPHERE_FAULT'],
  ['hypervisor.createVm', 'VM_NAME_TAKEN'], ['hypervisor.createVm', 'VSPHERE_UNREACHABLE'], ['hypervisor.power', 'VSPHERE_FAULT'],
]

/** The next VM cannot be made; `meanwhile` something else happens. */
function refuseVm(world: World, meanwhile: () => void): void {
  const create = world.hypervisor.createVm.bind(world.hypervisor)
  world.hypervisor.createVm = async () => {
    world.hypervisor.createVm = create
    meanwhile()
    return await Promise.reject(new AppError('VM_NAME_TAKEN', 'somebody made one'))
  }
}

for (const [call, code] of BEFORE_POWER_ON) {
  t.test(`a cutover in which ${call} fails with ${code} is undone: the source runs on, and the next cutover works`, async t => {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    world.fail(call, code)
    await engine.act(id, 'cutover')
    await world.until('provisioning', 'mirroring')
    const again = await world.replicating()
    t.equal(world.source.frozen, false, 'the source is thawed')
    t.equal(world.source.off, false)
    t.equal(again?.lastError?.code, call === 'source.hold' ? 'SOURCE_THAWED' : code)
    t.equal(world.hypervisor.vms.size, 0, 'no VM is left')
    if (call !== 'source.hold') t.equal(world.source.calls.filter(c => c.startsWith('mirror')).length, 1, 'replication went on without a new mirror')
    t.notOk(world.replica.fixed, 'nothing of the fix-ups is on the replica')
    await engine.act(id, 'cutover')
    t.equal((await world.until('completed', 'failed'))?.state, 'completed')
    t.strictSame(world.violations, [])
  })
}

t.test('a source that is away when its cutover is undone is thawed when it is there again, and need not wait', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  refuseVm(world, () => { world.source.disconnect() })
  await engine.act(id, 'cutover')
  await world.until('provisioning', 'mirroring')
  t.ok(world.source.frozen, 'nobody could thaw it')
  t.notOk(world.source.calls.includes('thaw'))
  world.source.connect()
  await world.replicating()
  t.equal(world.source.frozen, false)
  t.ok(world.source.calls.indexOf('thaw') < world.source.calls.lastIndexOf('prepare'))
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('fix-ups of an undone cutover that cannot be taken back cost a mirror, and that is said', async t => {
  for (const break_ of [(world: World): void => { world.fail('replica.restore', 'TOOL_FAILED') }, (world: World): void => { world.replica.restorable = false }]) {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    refuseVm(world, () => { break_(world) })
    await engine.act(id, 'cutover')
    await world.until('provisioning', 'mirroring')
    await world.replicating()
    t.equal(world.source.calls.filter(c => c.startsWith('mirror')).length, 2)
    t.match((await engine.history(id, 0, 200)).find(e => e.kind === 'mirror-required')?.message, /could not be taken back/)
    await engine.act(id, 'cutover')
    t.equal((await world.until('completed', 'failed'))?.state, 'completed')
    t.strictSame(world.violations, [])
  }
})

t.test('a fix-up that fails in earnest is rehearsed again before the next cutover', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  world.fail('replica.makeBootable', 'BOOT_FIXUP_FAILED')
  await engine.act(id, 'cutover')
  await world.until('provisioning', 'mirroring')
  world.fail('replica.rehearse', 'BOOT_FIXUP_FAILED', 2)
  await world.replicating()
  const drains = world.source.calls.filter(c => c === 'drain').length
  await engine.act(id, 'cutover')
  await world.until('provisioning', 'mirroring')
  await world.replicating()
  t.equal(world.source.calls.filter(c => c === 'drain').length, drains, 'nothing has happened to the source')
})

t.test('a source that thaws while the replica is made is noticed before the power-on', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  const create = world.hypervisor.createVm.bind(world.hypervisor)
  let thawed = false
  world.hypervisor.createVm = async (vm, signal) => {
    if (!thawed) world.source.thaw()
    thawed = true
    return await create(vm, signal)
  }
  await engine.act(id, 'cutover')
  await world.until('provisioning', 'mirroring')
  t.equal((await world.replicating())?.lastError?.code, 'SOURCE_THAWED')
  t.notOk(world.hypervisor.calls.includes('power-on'), 'the replica was never started')
})

t.test('a replica that gives no sign of life is switched off, the source thaws, and a retry cuts over', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  const failed = await world.until('failed')
  t.equal(failed?.lastError?.code, 'BOOT_NOT_PROVEN')
  t.match(failed?.lastError?.message, /The replica was switched off; the source runs on/)
  t.equal(world.source.frozen, false)
  t.strictSame([...world.hypervisor.vms.values()].map(vm => vm.power), ['off'])
  t.equal(failed?.screenshot?.bytes, 8, 'what it showed was kept before that')
  t.ok((await engine.history(id, 0, 1000)).some(e => e.message.includes('landfall job screenshot move-shop --output FILE')))
  world.hypervisor.bootsAfterPolls = 1
  await engine.act(id, 'retry')
  await world.replicating()
  t.equal(world.source.calls.filter(call => call.startsWith('mirror')).at(-1), 'mirror data', 'what the replica wrote is mirrored over, whatever times it left')
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('a screenshot that cannot be had spoils nothing and is told; one that the server does not make is not even told', async t => {
  for (const [told, prepare] of [[true, (world: World) => { world.fail('hypervisor.screenshot', 'VSPHERE_FAULT') }], [true, (world: World) => { world.fail('store.putScreenshot', 'STORE_INVALID') }],
    [false, (world: World) => { world.hypervisor.screen = undefined }]] as const) {
    await using world = new World()
    const engine = await world.start()
    const { id } = await world.protect()
    prepare(world)
    await engine.act(id, 'cutover')
    const done = await world.until('completed', 'failed')
    t.match(done, { state: 'completed', health: 'ok' })
    t.equal(done?.screenshot, undefined)
    t.ok(world.source.off)
    t.equal((await engine.history(id, 0, 1000)).some(e => e.kind === 'no-screenshot'), told)
    await t.rejects(engine.screenshot(id, 'cutover'), { code: 'SCREENSHOT_NOT_FOUND' })
  }
})

t.test('a replica that somebody has started by hand after a failure is not touched by retry or remove', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  const failed = await world.until('failed')
  const vmId = failed?.built?.vmId ?? ''
  const vm = world.hypervisor.vms.get(vmId)
  if (vm !== undefined) world.hypervisor.vms.set(vmId, { ...vm, power: 'on' })
  for (const action of ['retry', 'remove'] as const) {
    await engine.act(id, action)
    t.equal((await world.until('failed'))?.lastError?.code, 'VSPHERE_STATE')
    t.equal(world.hypervisor.vms.get(vmId)?.power, 'on')
  }
})

t.test('a source that cannot be reached after the proof does not spoil the cutover, but is reported', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  world.fail('source.powerOff', 'LINK_LOST')
  await engine.act(id, 'cutover')
  const done = await world.until('completed', 'failed')
  t.equal(done?.state, 'completed')
  t.equal(done?.health, 'warning')
  t.match(done?.activity, /Switch it off by hand now/)
  t.equal(world.source.off, false)
  const again = world.source.find(world.source.id)
  t.ok(again !== undefined)
  if (again !== undefined) await engine.sourceConnected(again, AbortSignal.timeout(10_000))
  t.ok(world.source.off, 'it is switched off when it connects again')
  t.match(await engine.get(id), { state: 'completed', health: 'ok', activity: /switched off/ })
  t.equal((await engine.get(id)).finishOwed, undefined)
  if (again !== undefined) await engine.sourceConnected(again, AbortSignal.timeout(10_000))
  t.equal(world.source.calls.filter(call => call === 'power-off').length, 1, 'once')
})

t.test('an appliance that is shut down in the middle of a cutover thaws the source and goes on when it is started', async t => {
  await using world = new World()
  const engine = await world.start()
  const { id } = await world.protect()
  const create = world.hypervisor.createVm.bind(world.hypervisor)
  let ending: Promise<void> | undefined
  world.hypervisor.createVm = async (vm, signal) => {
    ending ??= engine[Symbol.asyncDispose]()
    return await create(vm, signal)
  }
  await engine.act(id, 'cutover')
  while (ending === undefined) await new Promise(resolve => { setImmediate(resolve) })
  await ending
  t.equal(world.source.frozen, false)
  const next = await world.start()
  await world.replicating()
  await next.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('a check of file systems that would take too long does not keep the source frozen: the cutover goes on, and it is told', async t => {
  await using world = new World()
  world.times = { ...world.times, checkMs: 0 }
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.match((await engine.history(id, 0, 1000)).filter(({ kind }) => kind === 'not-checked').map(({ message }) => message), [/^the check of ext4 on .* longer than 0 s/])
})
