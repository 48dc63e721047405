import t from 'tap'
import { MemoryHypervisor } from '../../../src/hypervisor/memory-hypervisor.ts'
import { planOf } from '../../contract/hypervisor.contract.ts'

const soon = (): AbortSignal => AbortSignal.timeout(5000)

t.test('a reported boot is what bootReport answers', async t => {
  const hypervisor = new MemoryHypervisor({ networks: [] })
  const id = await hypervisor.createVm({ plan: planOf('a', [], 'a'), disks: [], jobId: 'j' }, soon())
  const proof = { hostName: 'web1', systemState: 'running', failedUnits: [], addresses: [], scriptOutput: '', bootedAtUtc: '2026-01-01T00:00:00Z' }
  hypervisor.reportBoot(id, proof)
  t.strictSame(await hypervisor.bootReport(id, soon()), proof)
})

t.test('what a VM shows is seen while it is on', async t => {
  const hypervisor = new MemoryHypervisor({ networks: [] })
  const id = await hypervisor.createVm({ plan: planOf('a', [], 'a'), disks: [], jobId: 'j' }, soon())
  hypervisor.showScreen(id, Buffer.from('login:'))
  t.equal(await hypervisor.screenshot(id, soon()), undefined)
  await hypervisor.power(id, 'on', soon())
  t.equal(String(await hypervisor.screenshot(id, soon())), 'login:')
})

t.test('the appliance takes 59 disks and then has no slot', async t => {
  const hypervisor = new MemoryHypervisor()
  for (let i = 0; i < 59; i += 1) await hypervisor.attachDisk(await hypervisor.createDisk(`[datastore1] a/${String(i)}.vmdk`, 1024, 'thin', soon()), soon())
  const last = await hypervisor.createDisk('[datastore1] a/last.vmdk', 1024, 'thin', soon())
  await t.rejects(hypervisor.attachDisk(last, soon()), { code: 'VSPHERE_STATE' })
  t.equal(hypervisor.disks().filter(d => d.holder === 'appliance').length, 59)
})
