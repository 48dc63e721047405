/** Fix-ups that each look at a few files, on small trees: what they say, and what they leave. */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { debianFixUps } from '../../../src/replica/boot-debian.ts'
import { STOP_CLOUD_INIT } from '../../../src/replica/fix-cloud-init.ts'
import { FIX_ROOM } from '../../../src/replica/fix-room.ts'
import { RELABEL } from '../../../src/replica/fix-selinux.ts'
import { REMOVE_AGENT, STOP_FOREIGN_SERVICES } from '../../../src/replica/fix-services.ts'
import { REMOVE_CACHES } from '../../../src/replica/fix-stale-state.ts'
import { ENABLE_TOOLS, REPORT_CLOCK } from '../../../src/replica/fix-tools.ts'
import type { AssembledReplica, FixUp } from '../../../src/replica/fix-up.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { debian12, MIB, options, places } from './workloads.ts'

type Tree = NonNullable<Parameters<Test['testdir']>[0]>

interface Case {
  what: string
  fixUp: FixUp
  tree: (t: Test) => Tree
  messages: readonly string[]
  /** paths to text, "-> target" of a link, or undefined where nothing is left */
  left?: Readonly<Record<string, string | undefined>>
}

const SYSTEMD = { systemd: 'program' }
const UNIT = '[Install]\nWantedBy=multi-user.target\n'
const DISABLED = 'Disabled by the migration: this server has its identity already.\n'
const IS_DISABLED = 'cloud-init is disabled: the server keeps its host keys, users and network settings'
const NETWORK_OFF = 'network: {config: disabled}\n'

const CASES: readonly Case[] = [
  {
    what: 'our agent leaves the copy', fixUp: REMOVE_AGENT,
    tree: t => ({ etc: { 'systemd': { system: { 'landfall-agent.service': 'x', 'multi-user.target.wants': { 'landfall-agent.service': t.fixture('symlink', '../landfall-agent.service') }, 'other.service': 'y' } }, 'default': { 'landfall-agent': 'z' } } }),
    messages: ['/etc/systemd/system/landfall-agent.service removed', '/etc/systemd/system/multi-user.target.wants/landfall-agent.service removed', '/etc/default/landfall-agent removed'],
    left: { 'etc/systemd/system/other.service': 'y', 'etc/systemd/system/multi-user.target.wants/landfall-agent.service': undefined },
  },
  {
    what: 'units of other hypervisors and of the old hardware are masked, one of the source\'s own stays beside its mask', fixUp: STOP_FOREIGN_SERVICES,
    tree: t => ({
      lib: { systemd: { system: { 'qemu-guest-agent.service': 'x', 'multipathd.service': 'x', 'smartd.service': 'x', 'ssh.service': 'x' } } },
      etc: { systemd: { system: { 'hpasmlited.service': 'own', 'smartd.service': t.fixture('symlink', '/dev/null') } } },
    }),
    messages: ['qemu-guest-agent.service is masked', 'hpasmlited.service is masked', 'multipathd.service is masked'],
    left: {
      'etc/systemd/system/qemu-guest-agent.service': '-> /dev/null', 'etc/systemd/system/multipathd.service': '-> /dev/null', 'etc/systemd/system/hpasmlited.service': '-> /dev/null', 'etc/systemd/system/hpasmlited.service.pre-landfall': 'own',
      'etc/systemd/system/ssh.service': undefined, 'etc/systemd/system/mcelog.service': undefined,
    },
  },
  {
    what: 'init scripts of the old hardware are in no run level', fixUp: STOP_FOREIGN_SERVICES,
    tree: () => ({ etc: { 'init.d': { 'smartd': 'x', 'hp-health': 'x', 'sshd': 'x' }, 'rc.d': { 'rc3.d': { 'S40smartd': '', 'S91hp-health': '', 'K10smartd': '', 'S55sshd': '' } }, 'rc5.d': { S40smartd: '' } } }),
    messages: ['smartd is started in no run level', 'hp-health is started in no run level'],
    left: { 'etc/rc.d/rc3.d/S40smartd': undefined, 'etc/rc.d/rc3.d/S91hp-health': undefined, 'etc/rc5.d/S40smartd': undefined, 'etc/rc.d/rc3.d/S55sshd': '', 'etc/rc.d/rc3.d/K10smartd': '' },
  },
  {
    what: 'leases and caches of the old addresses and devices go, what else is there stays', fixUp: REMOVE_CACHES,
    tree: () => ({
      etc: { 'blkid.tab': 'x', 'lvm': { cache: { '.cache': 'x' } } },
      var: { lib: { dhcp: { 'dhclient.ens3.leases': 'x', 'dhcpd.conf': 'y' }, NetworkManager: { 'internal-1-ens3.lease': 'x', 'secret_key': 'y' }, dhclient: { 'dhclient--eth0.lease': 'x' }, rpm: { '__db.001': 'x', 'Packages': 'y' }, systemd: { 'random-seed': 'y' } } },
    }),
    messages: ['/etc/blkid.tab', '/etc/lvm/cache/.cache', '/var/lib/dhcp/dhclient.ens3.leases', '/var/lib/NetworkManager/internal-1-ens3.lease', '/var/lib/dhclient/dhclient--eth0.lease', '/var/lib/rpm/__db.001'].map(path => `${path} removed`),
    left: { 'var/lib/dhcp/dhclient.ens3.leases': undefined, 'var/lib/dhcp/dhcpd.conf': 'y', 'var/lib/NetworkManager/secret_key': 'y', 'var/lib/rpm/Packages': 'y', 'var/lib/systemd/random-seed': 'y' },
  },
  {
    what: 'a hardware clock in local time is told', fixUp: REPORT_CLOCK, tree: () => ({ etc: { adjtime: '0.0 0 0.0\n0\nLOCAL\n' } }),
    messages: ['the hardware clock of the source runs in local time; the virtual one runs in UTC until it is set by the first time synchronisation'], left: { 'etc/adjtime': '0.0 0 0.0\n0\nLOCAL\n' },
  },
  { what: 'a hardware clock in UTC is not', fixUp: REPORT_CLOCK, tree: () => ({ etc: { adjtime: '0.0 0 0.0\n0\nUTC\n' } }), messages: [] },
  {
    what: 'cloud-init is switched off with systemd, and its scripts are left', fixUp: STOP_CLOUD_INIT,
    tree: () => ({ lib: { systemd: SYSTEMD }, etc: { 'cloud': { 'cloud.cfg': 'x', 'cloud.cfg.d': { '99-installer.cfg': 'datasource: {}\n' } }, 'init.d': { 'cloud-init': 'x' }, 'rc3.d': { 'S01cloud-init': '' } } }),
    messages: [IS_DISABLED], left: { 'etc/cloud/cloud-init.disabled': DISABLED, 'etc/cloud/cloud.cfg.d/99-landfall.cfg': NETWORK_OFF, 'etc/cloud/cloud.cfg.d/99-installer.cfg': 'datasource: {}\n', 'etc/rc3.d/S01cloud-init': '' },
  },
  {
    what: 'upstart does not look at the switch: its jobs start no more', fixUp: STOP_CLOUD_INIT,
    tree: () => ({ etc: { cloud: { 'cloud.cfg': 'x' }, init: { 'cloud-init.conf': 'x', 'cloud-config.conf': 'x', 'cloud-final.conf': 'x', 'cloud-init-nonet.conf': 'x', 'ssh.conf': 'x', 'cloud-final.override': 'manual\n' } } }),
    messages: [IS_DISABLED, ...['cloud-config', 'cloud-init-nonet', 'cloud-init'].map(job => `/etc/init/${job}.conf is not started by itself`)],
    left: { 'etc/init/cloud-init.override': 'manual\n', 'etc/init/ssh.override': undefined, 'etc/cloud/cloud.cfg.d/99-landfall.cfg': undefined },
  },
  {
    what: 'run levels neither', fixUp: STOP_CLOUD_INIT,
    tree: () => ({ etc: { 'cloud': { 'cloud-init.disabled': 'own' }, 'rc.d': { 'rc3.d': { 'S50cloud-init-local': '', 'S51cloud-init': '', 'S10network': '' } } } }),
    messages: ['cloud-init-local is started in no run level', 'cloud-init is started in no run level'], left: { 'etc/cloud/cloud-init.disabled': 'own', 'etc/rc.d/rc3.d/S51cloud-init': undefined, 'etc/rc.d/rc3.d/S10network': '' },
  },
  { what: 'without cloud-init nothing is made for it', fixUp: STOP_CLOUD_INIT, tree: () => ({ lib: { systemd: SYSTEMD }, etc: {} }), messages: [], left: { 'etc/cloud': undefined } },
  {
    what: 'VMware tools that are not installed are told', fixUp: ENABLE_TOOLS, tree: () => ({ lib: { systemd: { system: {} } } }),
    messages: ['open-vm-tools is not installed: install it after the cutover, so that vSphere sees the state of the server'],
  },
  {
    what: 'VMware tools of Debian start, and are masked no more', fixUp: ENABLE_TOOLS,
    tree: t => ({ usr: { bin: { vmtoolsd: '' } }, lib: { systemd: { system: { 'open-vm-tools.service': UNIT } } }, etc: { systemd: { system: { 'open-vm-tools.service': t.fixture('symlink', '/dev/null') } } } }),
    messages: ['open-vm-tools.service is masked no more', 'open-vm-tools.service starts with the server'],
    left: { 'etc/systemd/system/open-vm-tools.service': undefined, 'etc/systemd/system/multi-user.target.wants/open-vm-tools.service': '-> /lib/systemd/system/open-vm-tools.service' },
  },
  {
    what: 'VMware tools of Red Hat and SUSE, where their unit says; a unit of the source\'s own is no mask', fixUp: ENABLE_TOOLS,
    tree: () => ({ usr: { bin: { vmtoolsd: '' }, lib: { systemd: { system: { 'vmtoolsd.service': '[Install]\nWantedBy=graphical.target\n' } } } }, etc: { systemd: { system: { 'vmtoolsd.service': UNIT } } } }),
    messages: ['vmtoolsd.service starts with the server'], left: { 'etc/systemd/system/vmtoolsd.service': UNIT, 'etc/systemd/system/graphical.target.wants/vmtoolsd.service': '-> /usr/lib/systemd/system/vmtoolsd.service' },
  },
  {
    what: 'VMware tools with an init script are in the run levels in which it is not', fixUp: ENABLE_TOOLS,
    tree: () => ({ usr: { bin: { vmtoolsd: '' } }, etc: { 'init.d': { vmtoolsd: '#!/bin/sh\n# chkconfig: 2345 85 15\n' }, 'rc.d': { 'rc3.d': { 'K15vmtoolsd': '', 'S10network': '' }, 'rc5.d': { S20vmtoolsd: '' } } } }),
    messages: ['vmtoolsd starts with the server'], left: { 'etc/rc.d/rc3.d/S85vmtoolsd': '-> /etc/init.d/vmtoolsd', 'etc/rc.d/rc3.d/K15vmtoolsd': undefined, 'etc/rc.d/rc5.d/S20vmtoolsd': '', 'etc/rc.d/rc5.d/S85vmtoolsd': undefined },
  },
  { what: 'without SELinux nothing is labelled', fixUp: RELABEL, tree: () => ({ etc: { selinux: { config: 'SELINUX=disabled\n' } } }), messages: [], left: { '.autorelabel': undefined } },
]

async function replicaOf(t: Test, root: string, more: Partial<AssembledReplica> = {}): Promise<AssembledReplica> {
  const files = await ReplicaFiles.open(root)
  t.teardown(async () => { await files[Symbol.asyncDispose]() })
  const workload = debian12()
  const plan = planReplica({ jobId: 'j', workload, options: options(), places: places() })
  return { plan, workload, options: options(), files, bootDevice: '/dev/sda', bootDiskUuid: '', run: async () => { throw new Error('no program runs here') }, ...more }
}

function leftAt(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined ? undefined : stats.isSymbolicLink() ? `-> ${readlinkSync(path)}` : readFileSync(path, 'latin1')
}

for (const { what, fixUp, tree, messages, left = {} } of CASES) {
  t.test(`${fixUp.id}: ${what}`, async t => {
    const root = t.testdir(tree(t))
    const replica = await replicaOf(t, root)
    t.same(await fixUp.fix(replica, AbortSignal.timeout(10_000)), messages)
    const found = (): Record<string, string | undefined> => Object.fromEntries(Object.keys(left).map(path => [path, leftAt(join(root, path))]))
    t.same(found(), left)
    await fixUp.fix(replica, AbortSignal.timeout(10_000))
    t.same(found(), left, 'done again it ends in the same')
  })
}

t.test('C03: too little room or too few inodes stop the cutover where they are missing', async t => {
  const root = t.testdir({ 'boot': { 'initrd.img-1': Buffer.alloc(40 * MIB), 'vmlinuz-1': 'k' } })
  const check = async (bytes: Record<string, number>, freeInodes = -1): Promise<unknown> =>
    await FIX_ROOM.fix(await replicaOf(t, root, { space: async path => ({ freeBytes: bytes[path] ?? 200 * MIB, freeInodes }) }), AbortSignal.timeout(10_000))
  t.same(await check({}), [])
  await t.rejects(check({ '/': 99 * MIB }), { code: 'BOOT_FIXUP_FAILED', message: '/ of the replica has 99 MiB free, 100 MiB are needed: free space on the source' })
  await t.rejects(check({ '/boot': 79 * MIB }), { code: 'BOOT_FIXUP_FAILED', message: /^\/boot of the replica has 79 MiB free, 80 MiB are needed/ }, 'a new initramfs beside the old one')
  await t.rejects(check({ '/var/tmp': 50 * MIB }), { message: /^\/var\/tmp of the replica/ })
  await t.rejects(check({}, 99), { code: 'BOOT_FIXUP_FAILED', message: /99 inodes free, 100 are needed/ })
})

t.test('C22: Debian and Ubuntu with SELinux label what is new, last of all', async t => {
  for (const firmware of ['bios', 'uefi'] as const) t.equal(debianFixUps(firmware).at(-1)?.id, 'C22')
  const root = t.testdir({ etc: { selinux: { config: '# x\nSELINUX=enforcing\n' } } })
  t.match(await RELABEL.fix(await replicaOf(t, root), AbortSignal.timeout(10_000)), [/^SELinux is enforcing/])
  t.equal(leftAt(join(root, '.autorelabel')), '')
})
