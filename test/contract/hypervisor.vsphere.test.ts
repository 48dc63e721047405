import t from 'tap'
import { openVsphereHypervisor } from '../../src/hypervisor/vsphere-hypervisor.ts'
import { startVcsim, vcsimMissing } from './start-vcsim.ts'
import { hypervisorContract } from './hypervisor.contract.ts'

const missing = vcsimMissing()
if (missing !== false) t.test('Hypervisor contract: vsphere against vcsim', { skip: missing }, () => undefined)
else {
  const vcsim = await startVcsim({ big: 1024, small: 1 })
  t.teardown(async () => { await vcsim[Symbol.asyncDispose]() })
  hypervisorContract('vsphere against vcsim', async () => {
    const target = { host: '127.0.0.1', port: vcsim.port, user: 'administrator', password: vcsim.password, thumbprint: vcsim.thumbprint, applianceVm: 'landfall-appliance' }
    const hypervisor = await openVsphereHypervisor(target, AbortSignal.timeout(30_000))
    return { hypervisor, [Symbol.asyncDispose]: async () => { await hypervisor[Symbol.asyncDispose]() } }
  })
}
