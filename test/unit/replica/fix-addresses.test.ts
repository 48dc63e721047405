import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { NetworkSettings } from '../../../src/domain/network-settings.ts'
import { SET_ADDRESSES } from '../../../src/replica/fix-addresses.ts'
import type { AssembledReplica } from '../../../src/replica/fix-up.ts'
import { KEEP_NETWORK_NAMES } from '../../../src/replica/identity.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const settings = NetworkSettings.parse({ addresses: [{ family: 'inet', address: '198.51.100.7', prefixLength: 24 }], gateways: ['198.51.100.1'], dns: ['198.51.100.53'] })
const chosen = options({ networks: [{ sourceMac: '52:54:00:12:34:56', network: 'VM Network', settings }] })
const plan = planReplica({ jobId: 'j', workload, options: chosen, places: places() })
const mac = plan.adapters[0]?.mac ?? ''
const signal = AbortSignal.timeout(60_000)

/** Runs both network fix-ups on a tree; gives its root. */
async function fixed(t: Test, tree: Parameters<Test['testdir']>[0], discarded = false): Promise<{ read: (path: string) => string, messages: readonly string[], root: string, again: () => Promise<readonly string[]> }> {
  const root = t.testdir(tree)
  const files = await ReplicaFiles.open(root)
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  const used = discarded ? { ...plan, adapters: plan.adapters.slice(0, 1) } : plan
  const replica: AssembledReplica = { plan: used, workload, options: chosen, files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') } }
  const all = async (): Promise<readonly string[]> => [...await KEEP_NETWORK_NAMES.fix(replica, signal), ...await SET_ADDRESSES.fix(replica, signal)]
  return { root, messages: await all(), read: path => readFileSync(join(root, path), 'utf8'), again: all }
}

t.test('Red Hat: the adapter is bound by HWADDR, the gateway of the whole server goes, an alias is no longer read', async t => {
  const { read, root, again } = await fixed(t, {
    lib: { udev: { 'rules.d': { '75-persistent-net-generator.rules': '' } } },
    etc: {
      sysconfig: {
        'network': 'NETWORKING=yes\nGATEWAY=192.0.2.1\n',
        'network-scripts': { 'ifcfg-lo': 'DEVICE=lo\n', 'ifcfg-ens3': 'DEVICE=ens3\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=192.0.2.10\nNETMASK=255.255.255.0\n', 'ifcfg-ens3:1': 'DEVICE=ens3:1\nIPADDR=192.0.2.11\n', 'ifcfg-ens4': 'DEVICE=ens4\nHWADDR=52:54:00:12:34:57\nONBOOT=yes\n', 'route-ens3': 'default via 192.0.2.1\n10.0.0.0/8 via 192.0.2.9\n' },
      },
      'hosts': '127.0.0.1 localhost\n192.0.2.10 alder\n192.0.2.100 other\n', 'resolv.conf': 'search example.net\nnameserver 192.0.2.53\n', 'udev': { 'rules.d': { '70-persistent-net.rules': '' } },
    },
  }, true)
  t.equal(read('etc/sysconfig/network-scripts/ifcfg-ens3'), `DEVICE=ens3\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=198.51.100.7\nNETMASK=255.255.255.0\nHWADDR=${mac}\nGATEWAY=198.51.100.1\nDNS1=198.51.100.53\n`)
  t.equal(read('etc/sysconfig/network'), 'NETWORKING=yes\n')
  t.equal(read('etc/sysconfig/network-scripts/route-ens3'), '10.0.0.0/8 via 192.0.2.9\n')
  t.match(read('etc/sysconfig/network-scripts/ifcfg-ens4'), /ONBOOT=no/, 'an adapter that is not migrated is not started')
  t.same(readdirSync(join(root, 'etc/sysconfig/network-scripts')).filter(n => n.includes(':')), ['landfall-removed.ifcfg-ens3:1'])
  t.equal(read('etc/hosts'), '127.0.0.1 localhost\n198.51.100.7 alder\n192.0.2.100 other\n')
  t.equal(read('etc/resolv.conf'), 'search example.net\nnameserver 198.51.100.53\n')
  t.equal(read('etc/udev/rules.d/70-persistent-net.rules'), `# landfall: ens3 keeps its name\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${mac}", ATTR{type}=="1", NAME="ens3"\n`)
  t.equal(read('etc/udev/rules.d/75-persistent-net-generator.rules'), '', 'masked')
  const before = read('etc/sysconfig/network-scripts/ifcfg-ens3')
  await again()
  t.equal(read('etc/sysconfig/network-scripts/ifcfg-ens3'), before)
})

t.test('SUSE: a bond has the addresses, a file that is named after the old MAC address is named after the adapter', async t => {
  const { read } = await fixed(t, { etc: { sysconfig: { network: {
    'ifcfg-bond0': 'BONDING_MASTER=\'yes\'\nBONDING_MODULE_OPTS=\'mode=802.3ad\'\nBONDING_SLAVE0=\'ens3\'\nIPADDR=\'192.0.2.10/24\'\n', 'ifcfg-eth-id-52:54:00:12:34:56': 'BOOTPROTO=\'none\'\n',
    'routes': 'default 192.0.2.1 - -\n', 'config': 'NETCONFIG_DNS_STATIC_SERVERS="192.0.2.53"\nNETCONFIG_DNS_POLICY="auto"\n',
  } } } })
  t.equal(read('etc/sysconfig/network/ifcfg-bond0'), 'BONDING_MASTER=\'yes\'\nBONDING_MODULE_OPTS=\'mode=active-backup fail_over_mac=1\'\nBONDING_SLAVE0=\'ens3\'\nIPADDR=198.51.100.7/24\nBOOTPROTO=static\n')
  t.equal(read('etc/sysconfig/network/ifcfg-ens3'), 'BOOTPROTO=\'none\'\n')
  t.equal(read('etc/sysconfig/network/routes'), 'default 198.51.100.1 - bond0\n')
  t.equal(read('etc/sysconfig/network/config'), 'NETCONFIG_DNS_STATIC_SERVERS=198.51.100.53\nNETCONFIG_DNS_POLICY="auto"\n')
})

t.test('NetworkManager: the profile of the adapter, or a new one where it had none', async t => {
  const profile = await fixed(t, { etc: { NetworkManager: { 'system-connections': { 'ens3.nmconnection': '[connection]\ninterface-name=ens3\n\n[ipv4]\nmethod=auto\n' } } } })
  t.match(profile.read('etc/NetworkManager/system-connections/ens3.nmconnection'), /address1=198\.51\.100\.7\/24,198\.51\.100\.1/)
  const none = await fixed(t, { etc: { NetworkManager: { 'system-connections': {} } } })
  t.equal(none.read('etc/NetworkManager/system-connections/landfall-ens3.nmconnection'), `[connection]\nid=ens3\ntype=ethernet\ninterface-name=ens3\n\n[ethernet]\nmac-address=${mac}\n\n[ipv4]\nmethod=manual\naddress1=198.51.100.7/24,198.51.100.1\ndns=198.51.100.53;\n\n[ipv6]\nmethod=auto\n`)
})

t.test('netplan: comments with letters beyond ASCII come out as they went in', async t => {
  const { read } = await fixed(t, { etc: { netplan: { '50-cloud-init.yaml': 'network:\n  ethernets:\n    ens3:\n      dhcp4: true # für alle, 全部\n      match: {macaddress: "52:54:00:12:34:56", driver: virtio_net}\n' } } })
  t.match(read('etc/netplan/50-cloud-init.yaml'), new RegExp(`dhcp4: false # für alle, 全部\n.*macaddress: "?${mac}"?`, 's'))
})

t.test('NetworkManager: the source\'s own address as a cloned one goes with it, another one is told', async t => {
  const profile = (name: string, mac: string): string => `[connection]\ninterface-name=${name}\n\n[ethernet]\ncloned-mac-address=${mac}\n\n[ipv4]\nmethod=auto\n`
  const { read, messages, again } = await fixed(t, { etc: { NetworkManager: { 'system-connections': { 'ens3.nmconnection': profile('ens3', '52:54:00:12:34:56'), 'ens4.nmconnection': profile('ens4', '02:00:00:00:00:01') } } } })
  t.notMatch(read('etc/NetworkManager/system-connections/ens3.nmconnection'), 'cloned-mac-address')
  const told = '/etc/NetworkManager/system-connections/ens4.nmconnection sets the MAC address 02:00:00:00:00:01, for which the port group must accept MAC address changes and forged transmits'
  t.ok(messages.includes(told))
  t.ok((await again()).includes(told), 'also when it is done again')
})

t.test('a resolv.conf that is a link has an owner: neither it nor what it leads to is changed', async t => {
  const stub = 'nameserver 127.0.0.53\n'
  const { read, root } = await fixed(t, { run: { systemd: { resolve: { 'stub-resolv.conf': stub } } }, etc: { 'resolv.conf': t.fixture('symlink', '../run/systemd/resolve/stub-resolv.conf'), 'NetworkManager': { 'system-connections': { 'ens3.nmconnection': '[connection]\ninterface-name=ens3\n\n[ipv4]\nmethod=auto\n' } } } })
  t.ok(lstatSync(join(root, 'etc/resolv.conf')).isSymbolicLink())
  t.equal(read('run/systemd/resolve/stub-resolv.conf'), stub)
  t.match(read('etc/NetworkManager/system-connections/ens3.nmconnection'), 'dns=198.51.100.53;', 'the owner of the name servers has them')
})

t.test('an adapter that nothing configures cannot be given addresses', async t => {
  await t.rejects(fixed(t, { etc: { network: { interfaces: 'auto lo\niface lo inet loopback\n' } } }), { code: 'BOOT_FIXUP_FAILED', message: /ens3/ })
})
