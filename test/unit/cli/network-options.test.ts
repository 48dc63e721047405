import t from 'tap'
import { withAddresses } from '../../../src/cli/network-options.ts'

const MAC = '52:54:00:12:34:56'
const none = { address: [], gateway: [], dns: [] }

t.test('addresses join the mapping of their adapter, or the default network', async t => {
  const flags = { address: [`${MAC.toUpperCase()}=192.0.2.7/24`, `${MAC}=2001:db8::7/64`], gateway: [`${MAC}=192.0.2.1`], dns: [`${MAC}=192.0.2.53`] }
  const settings = { addresses: [{ family: 'inet', address: '192.0.2.7', prefixLength: 24 }, { family: 'inet6', address: '2001:db8::7', prefixLength: 64 }], gateways: ['192.0.2.1'], dns: ['192.0.2.53'] }
  t.same(withAddresses({ networks: [{ sourceMac: MAC, network: 'front' }] }, flags).networks, [{ sourceMac: MAC, network: 'front', settings }])
  t.same(withAddresses({ networks: [], defaultNetwork: 'all' }, flags).networks, [{ sourceMac: MAC, network: 'all', settings }])
  t.same(withAddresses({ networks: [], defaultNetwork: 'all' }, none), { networks: [], defaultNetwork: 'all' })
})

t.test('what makes no sense is refused', async t => {
  const all = { networks: [], defaultNetwork: 'all' }
  for (const flags of [
    { ...none, address: ['192.0.2.7/24'] }, { ...none, address: [`${MAC}=192.0.2.7`] }, { ...none, address: [`${MAC}=192.0.2.300/24`] }, { ...none, gateway: [`${MAC}=192.0.2.1`] },
    { ...none, address: [`${MAC}=192.0.2.7/24`], dns: [`${MAC}=dns.example`] },
  ]) t.throws(() => withAddresses(all, flags), { code: 'REQUEST_INVALID' }, JSON.stringify(flags))
  t.throws(() => withAddresses({ networks: [{ sourceMac: MAC, network: null }] }, { ...none, address: [`${MAC}=192.0.2.7/24`] }), { code: 'REQUEST_INVALID' })
  t.throws(() => withAddresses({ networks: [] }, { ...none, address: [`${MAC}=192.0.2.7/24`] }), { code: 'REQUEST_INVALID' })
})
