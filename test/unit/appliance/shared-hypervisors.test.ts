import t from 'tap'
import { SharedHypervisors } from '../../../src/appliance/shared-hypervisors.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import type { Hypervisor } from '../../../src/hypervisor/hypervisor.ts'
import { MemoryVolumeStack } from '../../../src/storage/memory-volume-stack.ts'
import { ScriptedHypervisor } from '../../scenario/scripted-hypervisor.ts'

const signal = AbortSignal.timeout(5000)

class Counted extends ScriptedHypervisor {
  disposals = 0

  override async [Symbol.asyncDispose](): Promise<void> {
    this.disposals++
    await super[Symbol.asyncDispose]()
  }
}

t.test('jobs share one connection, which stays open when one of them is done', async t => {
  const made: Counted[] = []
  const shared = new SharedHypervisors(async () => {
    const hypervisor = new Counted(new MemoryVolumeStack(), 'x')
    made.push(hypervisor)
    return hypervisor
  })
  const [a, b] = await Promise.all([shared.open('1', signal), shared.open('1', signal)])
  await a[Symbol.asyncDispose]()
  t.match(await b.places(signal), { host: 'esx' })
  t.strictSame(made.map(hypervisor => hypervisor.disposals), [0])
  await shared[Symbol.asyncDispose]()
  await shared[Symbol.asyncDispose]()
  t.strictSame(made.map(hypervisor => hypervisor.disposals), [1])
})

t.test('a connection that failed is tried again by the next', async t => {
  let tries = 0
  await using shared = new SharedHypervisors(async (): Promise<Hypervisor> => {
    if (++tries === 1) throw new AppError('VSPHERE_UNREACHABLE', 'no')
    return new ScriptedHypervisor(new MemoryVolumeStack(), 'x')
  })
  await t.rejects(shared.open('1', signal), { code: 'VSPHERE_UNREACHABLE' })
  await t.resolves(shared.open('1', signal))
})

t.test('who gives up waiting does not break the connection for others', async t => {
  let connected: (hypervisor: Hypervisor) => void = () => undefined
  await using shared = new SharedHypervisors(async () => await new Promise<Hypervisor>(resolve => { connected = resolve }))
  const impatient = new AbortController()
  const [first, second] = [shared.open('1', impatient.signal), shared.open('1', signal)]
  impatient.abort()
  await t.rejects(first, { name: 'AbortError' })
  connected(new ScriptedHypervisor(new MemoryVolumeStack(), 'x'))
  await t.resolves(second)
})
