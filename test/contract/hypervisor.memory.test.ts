import { MemoryHypervisor } from '../../src/hypervisor/memory-hypervisor.ts'
import { hypervisorContract } from './hypervisor.contract.ts'

const store = (name: string, bytes: number) => ({ name, id: name, capacityBytes: bytes, freeBytes: bytes, accessible: true })
hypervisorContract('memory', async () => ({
  hypervisor: new MemoryHypervisor({
    datastores: [store('big', 2 ** 40), store('small', 2 ** 30)],
    networks: [{ name: 'VM Network', id: 'n1', kind: 'standard' }, { name: 'Distributed', id: 'n2', kind: 'distributed', switchUuid: 'u' }],
  }),
  async [Symbol.asyncDispose]() { /* holds nothing */ },
}))
