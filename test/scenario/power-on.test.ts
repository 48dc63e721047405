/** From the power-on of the replica to its proof: source and replica never serve side by side, and what the replica wrote is never taken for the source's. */
import t from 'tap'
import { AppError } from '../../src/errors/app-error.ts'
import { World } from './world.ts'

t.test('a power-on of which nobody knows whether it went through ends with the replica off and a mirror of the data', async t => {
  for (const begins of [true, false]) {
    await using world = new World()
    const power = world.hypervisor.power.bind(world.hypervisor)
    let times = 0
    world.hypervisor.power = async (vmId, to, signal) => {
      if (to === 'off' || ++times > 1) { await power(vmId, to, signal); return }
      if (begins) await power(vmId, to, signal)
      throw new AppError('VSPHERE_TIMEOUT', 'the task did not end within 600000 ms')
    }
    const engine = await world.start()
    const { id } = await world.protect()
    await engine.act(id, 'cutover')
    t.equal((await world.until('failed'))?.lastError?.code, 'BOOT_NOT_PROVEN')
    t.ok(world.hypervisor.calls.includes('power-off'), 'it was switched off also where it did not run yet')
    t.equal(world.source.frozen, false)
    await engine.act(id, 'retry')
    await world.replicating()
    t.equal(world.source.calls.filter(call => call.startsWith('mirror')).at(-1), 'mirror data')
    await engine.act(id, 'cutover')
    t.equal((await world.until('completed', 'failed'))?.state, 'completed')
    t.strictSame(world.violations, [])
  }
})

t.test('an appliance that is shut down while it powers the replica on goes on with that when it is started again', async t => {
  await using world = new World()
  const power = world.hypervisor.power.bind(world.hypervisor)
  let asked = (): void => undefined
  const powering = new Promise<void>(resolve => { asked = resolve })
  world.hypervisor.power = async (vmId, to, signal) => {
    if (to === 'on') await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }); asked() })
    await power(vmId, to, signal)
  }
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  await powering
  await engine[Symbol.asyncDispose]()
  t.ok(world.source.frozen, 'the source waits')
  t.notOk(world.hypervisor.calls.includes('power-off'))
  world.hypervisor.power = power
  await world.start()
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('a host that loses power while the replica boots leaves disks that are not believed', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  for (const deadline = Date.now() + 10_000; !world.hypervisor.calls.includes('boot-report') && Date.now() < deadline;) await new Promise(resolve => { setImmediate(resolve) })
  world.kill()
  for (const [vmId, vm] of world.hypervisor.vms) world.hypervisor.vms.set(vmId, { ...vm, power: 'off' })
  world.source.thaw() // by itself
  world.hypervisor.bootsAfterPolls = 1
  const again = await world.start()
  await world.replicating()
  t.equal(world.source.calls.filter(call => call.startsWith('mirror')).at(-1), 'mirror data', 'the replica had run')
  await again.act(id, 'cutover')
  t.equal((await world.until('completed', 'failed'))?.state, 'completed')
  t.strictSame(world.violations, [])
})

t.test('a replica that cannot be switched off keeps the source frozen until it is', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const power = world.hypervisor.power.bind(world.hypervisor)
  const frozenAt: boolean[] = []
  world.hypervisor.power = async (vmId, to, signal) => {
    if (to === 'off') {
      frozenAt.push(world.source.frozen)
      if (frozenAt.length <= 5) throw new AppError('VSPHERE_UNREACHABLE', 'nobody answers')
    }
    await power(vmId, to, signal)
  }
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  t.match(await world.until('failed'), { lastError: { code: 'BOOT_NOT_PROVEN', message: /The replica was switched off; the source runs on/ } })
  t.strictSame(frozenAt, Array.from({ length: 6 }, () => true))
  t.equal(world.source.frozen, false)
})

t.test('a source that thaws while the replica boots is reason to switch the replica off at once, without a screenshot', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = Infinity
  const report = world.hypervisor.bootReport.bind(world.hypervisor)
  world.hypervisor.bootReport = async (vmId, signal) => {
    world.source.thaw()
    return await report(vmId, signal)
  }
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  t.match(await world.until('failed'), { lastError: { code: 'BOOT_NOT_PROVEN', message: /thawed/ } })
  t.strictSame([...world.hypervisor.vms.values()].map(vm => vm.power), ['off'])
  t.notOk(world.hypervisor.calls.includes('screenshot'))
})

t.test('a replica that cuts the line to its source, having its address, boots beside a source that stays frozen, and is off when it is there again', async t => {
  await using world = new World()
  world.hypervisor.bootsAfterPolls = 600 // ten minutes: a hold is one
  const poweredOn = world.hypervisor.poweredOn
  world.hypervisor.poweredOn = vmName => { poweredOn(vmName); world.source.disconnect() }
  const engine = await world.start()
  const { id } = await world.protect()
  await engine.act(id, 'cutover')
  const done = await world.until('completed', 'failed')
  t.match(done, { state: 'completed', health: 'warning', finishOwed: true })
  t.ok(world.source.frozen, 'nothing was written beside the replica')
  world.source.connect()
  const again = world.source.find(world.source.id)
  t.ok(again !== undefined)
  if (again !== undefined) await engine.sourceConnected(again, AbortSignal.timeout(10_000))
  t.ok(world.source.off)
  t.strictSame(world.violations, [])
})
