import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AssembledReplica } from '../../../src/replica/fix-up.ts'
import { KEEP_MACHINE_IDENTITY, KEEP_NETWORK_NAMES } from '../../../src/replica/identity.ts'
import { linkFile, replaceMacs, withoutAdapters } from '../../../src/replica/network-names.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const plan = planReplica({ jobId: 'j', workload, options: options({ networks: [{ sourceMac: '52:54:00:12:34:57', network: null }] }), places: places() })
const mac = plan.adapters[0]?.mac ?? ''

t.test('the source\'s addresses are replaced in every notation, others are not', async t => {
  const text = 'hwaddress ether 52:54:00:12:34:56\nmac-address=52-54-00-12-34-56\nATTR{address}=="52:54:00:12:34:56"\nMACAddress=52:54:00:AB:CD:EF 52:54:00:12:34:56:78 x52:54:00:12:34:5\n'
  t.equal(replaceMacs(text, plan.adapters), `hwaddress ether ${mac}\nmac-address=${mac.replaceAll(':', '-')}\nATTR{address}=="${mac}"\nMACAddress=52:54:00:AB:CD:EF 52:54:00:12:34:56:78 x52:54:00:12:34:5\n`)
  t.equal(replaceMacs('52:54:00:12:34:56'.toUpperCase(), plan.adapters), mac)
})

t.test('a discarded adapter is not waited for', async t => {
  t.equal(withoutAdapters('iface bond0 inet static\n\tbond-slaves ens3 ens4\n\tbond-mode 1\niface br0 inet manual\n    bridge_ports ens4\n', new Set(['ens4'])), 'iface bond0 inet static\n\tbond-slaves ens3\n\tbond-mode 1\niface br0 inet manual\n    bridge_ports none\n')
  t.equal(withoutAdapters('auto lo ens4\nallow-hotplug ens4\niface ens4 inet dhcp\n', new Set(['ens4'])), 'auto lo\n# landfall: adapter not migrated: allow-hotplug ens4\niface ens4 inet dhcp\n')
})

t.test('the name is bound to the new address of the adapter itself, not of a VLAN on it', async t => {
  const [adapter] = plan.adapters
  t.equal(adapter === undefined ? '' : linkFile(adapter), `# Made by the migration: the adapter keeps the name it had on the source.\n[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=ens3\n`)
})

t.test('all of it, on a tree', async t => {
  const root = t.testdir({ lib: { systemd: { network: { '99-default.link': '' } } }, etc: { 'machine-id': `${workload.machineId}\n`, network: { 'interfaces': 'source /etc/network/interfaces.d/*\nauto ens3 ens4\n', 'interfaces.d': { extra: 'iface ens3 inet dhcp\n  hwaddress ether 52:54:00:12:34:56\n' } }, udev: { 'rules.d': {} } } })
  mkdirSync(join(root, 'etc/systemd/network'), { recursive: true })
  writeFileSync(join(root, 'etc/systemd/network/20-old.link'), '[Match]\nMACAddress=52:54:00:12:34:56\n[Link]\nName=ens3\n')
  writeFileSync(join(root, 'etc/udev/rules.d/70-persistent-net.rules'), 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", NAME="ens3"\n')
  await using files = await ReplicaFiles.open(root)
  const replica: AssembledReplica = { plan, workload, options: options(), files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') } }
  const messages = await KEEP_NETWORK_NAMES.fix(replica, AbortSignal.timeout(10_000))
  const read = (path: string): string => readFileSync(join(root, 'etc', path), 'utf8')
  t.match(read('network/interfaces'), /^auto ens3$/m)
  for (const path of ['network/interfaces.d/extra', 'systemd/network/20-old.link', 'udev/rules.d/70-persistent-net.rules', 'systemd/network/10-landfall-ens3.link']) {
    t.ok(read(path).includes(mac) && !read(path).includes('52:54'), path)
  }
  t.equal(messages.length, 5)
  t.same(await KEEP_MACHINE_IDENTITY.fix(replica, AbortSignal.timeout(1000)), [])
  writeFileSync(join(root, 'etc/machine-id'), 'other\n')
  await t.rejects(KEEP_MACHINE_IDENTITY.fix(replica, AbortSignal.timeout(1000)), { code: 'BOOT_FIXUP_FAILED' })
})
