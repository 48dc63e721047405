import t, { type Test } from 'tap'
import { CHECK_ADAPTER_NAMES } from '../../../src/replica/check-adapter-names.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

type Tree = NonNullable<Parameters<Test['testdir']>[0]>

/** Looks at files below /etc of a replica with the adapters ens3 and ens4. */
async function check(t: Test, etc: Tree): Promise<readonly string[]> {
  const workload = debian12()
  await using files = await ReplicaFiles.open(t.testdir({ etc }))
  const plan = planReplica({ jobId: 'j', workload, options: options(), places: places() })
  return await CHECK_ADAPTER_NAMES.fix({ plan, workload, options: options(), files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') } }, AbortSignal.timeout(10_000))
}

/** What each stack may name: adapters of the replica, what it makes of them, and what nothing starts. */
const FINE: Record<string, Tree> = {
  'Red Hat': { sysconfig: { 'network-scripts': {
    'ifcfg-ens3': 'DEVICE=ens3\nMASTER=bond0\nONBOOT=yes\n', 'ifcfg-ens4:1': 'DEVICE=ens4:1\n', 'ifcfg-bond0': 'DEVICE=bond0\nBONDING_OPTS="mode=1"\n', 'ifcfg-front': 'DEVICE=front\nTYPE=Bridge\n', 'ifcfg-front.7': 'DEVICE=front.7\nVLAN=yes\nPHYSDEV=front\n',
    'ifcfg-eth9': 'DEVICE=eth9\nONBOOT=no\n', 'ifcfg-Wired_connection_1': 'HWADDR=00:50:56:00:00:01\n',
  } } },
  'SUSE': { sysconfig: { network: { 'ifcfg-ens3': 'STARTMODE=auto\n', 'ifcfg-lan': 'BONDING_MASTER=\'yes\'\nBONDING_SLAVE0=\'ens3\'\nBONDING_SLAVE_1=\'ens4\'\n', 'ifcfg-office': 'ETHERDEVICE=\'lan\'\nVLAN_ID=7\n', 'ifcfg-kvm': 'BRIDGE=\'yes\'\nBRIDGE_PORTS=\'office\'\n', 'ifcfg-eth9': 'DEVICE=eth9\nSTARTMODE=off\n' } } },
  'NetworkManager': { NetworkManager: { 'system-connections': { a: '[connection]\ntype=ethernet\ninterface-name=ens3\n', b: '[connection]\ntype=bond\ninterface-name=lan\n', c: '[connection]\ntype=ethernet\n', d: '[connection]\ninterface-name=eth9\nautoconnect=false\n' } } },
  'netplan': { netplan: { '1.yaml': 'network:\n  version: 2\n  ethernets:\n    ens3: {}\n    front: {match: {macaddress: "00:50:56:00:00:01"}, set-name: ens4}\n  bonds:\n    lan: {interfaces: [ens3, front]}\n  vlans:\n    office: {id: 7, link: lan}\n' } },
  'networkd': { systemd: { network: { '1.netdev': '[NetDev]\nName=lan\nKind=bond\n', '2.network': '[Match]\nName=ens3\n', '3.network': '[Match]\nName=lan\n', '4.network': '[Match]\nName=en* eth0\n', '5.network': '[Match]\nName=!eth9\n' } } },
  'ifupdown': { network: { interfaces: 'auto lan\niface lan inet static\n  bond-slaves ens3 ens4\niface br0 inet dhcp\n  bridge_ports none\niface br1 inet dhcp\n  bridge_ports ens3.5 lan regex eth.*\n' } },
}

const WRONG: Record<string, readonly [Tree, readonly string[]]> = {
  'Red Hat': [{ sysconfig: { 'network-scripts': { 'ifcfg-eth0': 'DEVICE=eth0\nONBOOT=yes\n', 'ifcfg-lan.7': 'DEVICE=lan.7\nVLAN=yes\nPHYSDEV=eth1\n' } } }, ['/etc/sysconfig/network-scripts/ifcfg-eth0: eth0', '/etc/sysconfig/network-scripts/ifcfg-lan.7: eth1']],
  'SUSE': [{ sysconfig: { network: { 'ifcfg-lan': 'BONDING_MASTER=\'yes\'\nBONDING_SLAVE0=\'ens3\'\nBONDING_SLAVE1=\'p4p1\'\n' } } }, ['/etc/sysconfig/network/ifcfg-lan: p4p1']],
  'NetworkManager': [{ NetworkManager: { 'system-connections': { a: '[connection]\ntype=ethernet\ninterface-name=eno1\n' } } }, ['/etc/NetworkManager/system-connections/a: eno1']],
  'netplan': [{ netplan: { '1.yaml': 'network:\n  ethernets:\n    eno1: {}\n  bonds:\n    lan: {interfaces: [ens3, eno2]}\n  vlans:\n    office: {link: eno3}\n' } }, ['/etc/netplan/1.yaml: eno1', '/etc/netplan/1.yaml: eno2', '/etc/netplan/1.yaml: eno3']],
  'networkd': [{ systemd: { network: { '2.network': '[Match]\nName=eno1\n\n[Network]\nBond=lan\n' } } }, ['/etc/systemd/network/2.network: eno1']],
  'ifupdown': [{ network: { interfaces: 'iface lan inet static\n  bond-slaves ens3 eno2 # second\n' } }, ['/etc/network/interfaces: eno2']],
}

for (const [stack, etc] of Object.entries(FINE)) {
  t.test(`${stack}: adapters of the replica, what is made of them, and what nothing starts are not told`, async t => { t.same(await check(t, etc), []) })
}

for (const [stack, [etc, told]] of Object.entries(WRONG)) {
  t.test(`${stack}: an adapter that the replica does not have is told with its file`, async t => {
    await t.rejects(check(t, etc), { code: 'BOOT_FIXUP_FAILED', message: `names of adapters that the replica does not have: ${told.join(', ')}` })
  })
}
