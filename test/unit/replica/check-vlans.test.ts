import t, { type Test } from 'tap'
import type { AssembledReplica } from '../../../src/replica/fix-up.ts'
import { CHECK_VLANS } from '../../../src/replica/check-vlans.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

type Tree = Parameters<Test['testdir']>[0]
const SETTINGS = { addresses: [{ family: 'inet' as const, address: '198.51.100.7', prefixLength: 24 }], gateways: [], dns: [] }

async function told(t: Test, etc: Tree, change: Parameters<typeof options>[0] = {}): Promise<string> {
  const root = t.testdir({ etc: etc ?? {} })
  const workload = debian12()
  const chosen = options(change)
  await using files = await ReplicaFiles.open(root)
  const replica: AssembledReplica = {
    workload, options: chosen, files, plan: planReplica({ jobId: 'j', workload, options: chosen, places: places() }), bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => Promise.reject(new Error('nothing is run')),
  }
  return await CHECK_VLANS.fix(replica, AbortSignal.timeout(5000)).then(messages => messages.join(), (error: unknown) => (error instanceof Error ? error.message : String(error)))
}

const TRUNK = 'on ens3 has a link only when the port group of its adapter is a trunk (VLAN 4095)'

t.test('a server without VLANs has nothing to be told', async t => {
  t.equal(await told(t, { network: { interfaces: 'auto ens3:1\niface ens3 inet dhcp\niface ens3:1 inet static\n' }, sysconfig: { 'network-scripts': { 'ifcfg-eth0.bak': 'VLAN=yes\n', 'ifcfg-ens3': 'DEVICE=ens3\n' } } }), '')
})

t.test('VLANs of every stack are told with what they need', async t => {
  const stacks: readonly (readonly [string, Tree, string])[] = [
    ['Red Hat', { sysconfig: { 'network-scripts': { 'ifcfg-ens3.100': 'DEVICE=ens3.100\nVLAN=yes\nIPADDR=192.0.2.1\n', 'ifcfg-v7': 'TYPE=Vlan\nDEVICE=v7\nPHYSDEV=ens3\n' } } }, `ens3.100 ${TRUNK}; v7 ${TRUNK}`],
    ['SUSE', { sysconfig: { network: { 'ifcfg-vlan9': 'BOOTPROTO=\'static\'\nETHERDEVICE=\'ens3\'\nVLAN_ID=9\n' } } }, `vlan9 ${TRUNK}`],
    ['NetworkManager', { NetworkManager: { 'system-connections': { 'v.nmconnection': '[connection]\nid=V\ntype=vlan\ninterface-name=ens3.5\n\n[vlan]\nparent=ens3\nid=5\n' } } }, `ens3.5 ${TRUNK}`],
    ['netplan', { netplan: { '1.yaml': 'network:\n  ethernets: {ens3: {}}\n  vlans:\n    v3: {id: 3, link: ens3}\n' } }, `v3 ${TRUNK}`],
    ['networkd', { systemd: { network: { '1.network': '[Match]\nName=ens3\n[Network]\nVLAN=v1 v2\n' } } }, `v1 ${TRUNK}; v2 ${TRUNK}`],
    ['ifupdown', { network: { interfaces: 'iface ens3.4 inet static\niface ens3.4 inet6 auto\niface web inet static\n  vlan-raw-device ens3\n' } }, `ens3.4 ${TRUNK}; web ${TRUNK}`],
  ]
  for (const [name, etc, expected] of stacks) t.equal(await told(t, etc), `VLANs are copied as they are and not handled: ${expected}`, name)
  t.match(await told(t, { netplan: { '1.yaml': '{{ no yaml' } }), /^(?!.*VLAN)/, 'what cannot be read is told elsewhere')
})

t.test('a VLAN on an adapter that is not migrated cannot come up; with chosen addresses a VLAN keeps those of the source', async t => {
  const etc = { network: { interfaces: 'iface ens3.4 inet static\n' } }
  const [mac = ''] = debian12().adapters.filter(a => a.name === 'ens3').map(a => a.macAddress)
  t.match(await told(t, etc, { networks: [{ sourceMac: mac, network: null }] }), 'ens3.4 lies on ens3, which is not migrated: it cannot come up')
  t.match(await told(t, etc, { networks: [{ sourceMac: mac, network: 'VM Network', settings: SETTINGS }] }), 'ens3.4 on ens3 has a link only when the port group of its adapter is a trunk (VLAN 4095); it keeps the addresses of the source')
})
