import { join } from 'node:path'
import t from 'tap'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { discoverNetwork, parseResolvConf } from '../../../src/workload/discover-network.ts'
import { SourceRoot } from '../../../src/workload/source-root.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')

async function discover(runner: ScriptedRunner, tree: string, namespace?: string): Promise<Pick<Workload, 'adapters' | 'routes' | 'dns'> & { findings: Finding[] }> {
  const findings: Finding[] = []
  const report = (f: Finding): void => { findings.push(f) }
  const root = await SourceRoot.open(tree, report)
  return { ...await discoverNetwork({ runner, root, namespace, report, signal: AbortSignal.timeout(10_000) }), findings }
}

function host(links: readonly object[], routes: readonly object[] = []): ScriptedRunner {
  return new ScriptedRunner([
    { tool: 'ip', args: ['-j', '-d', 'addr'], stdout: JSON.stringify(links.map((l, i) => ({ ifindex: i + 1, link_type: 'ether', mtu: 1500, address: `02:00:00:00:00:0${String(i)}`, ...l }))) },
    { tool: 'ip', args: ['-j', '-4', 'route'], stdout: JSON.stringify(routes) }, { tool: 'ip', args: ['-j', '-6', 'route'], stdout: '' },
  ])
}

t.test('in a namespace the server\'s virtual adapter counts, a bridge\'s port does not', async t => {
  const runner = await ScriptedRunner.open(FIXTURES, ['ip/namespace-links', 'ip/namespace-routes-4', 'ip/namespace-routes-6'])
  const found = await discover(runner, t.testdir({ etc: { 'resolv.conf': 'nameserver 192.0.2.53\nsearch example.org\n' } }), 'gtest')
  t.same(found, {
    adapters: [{ name: 'eth0', macAddress: '52:54:00:12:34:56', mtu: 1500, addresses: [
      { family: 'inet', address: '192.0.2.10', prefixLength: 24 }, { family: 'inet6', address: '2001:db8::10', prefixLength: 64 },
    ] }],
    routes: [
      { destination: '0.0.0.0/0', gateway: '192.0.2.1', adapter: 'eth0', metric: 100 }, { destination: '192.0.2.0/24', adapter: 'eth0' },
      { destination: '198.51.100.0/24', gateway: '192.0.2.2', adapter: 'eth0' }, { destination: '2001:db8::/64', adapter: 'eth0', metric: 256 },
      { destination: '::/0', gateway: '2001:db8::1', adapter: 'eth0', metric: 1024 },
    ],
    dns: { servers: ['192.0.2.53'], search: ['example.org'] }, findings: [],
  })
})

t.test('on a server only hardware counts: containers and their bridges are left out', async t => {
  const found = await discover(host([
    { ifname: 'lo', link_type: 'loopback' }, { ifname: 'ens3' }, { ifname: 'docker0', linkinfo: { info_kind: 'bridge' } },
    { ifname: 'veth1', master: 'docker0', linkinfo: { info_kind: 'veth' } }, { ifname: 'tun0', link_type: 'none', linkinfo: { info_kind: 'tun' } }, { ifname: 'ib0', link_type: 'infiniband' },
  ], [{ dst: '172.17.0.0/16', dev: 'docker0' }, { dst: 'default', dev: 'ens3', gateway: '192.0.2.1' }, { dst: '203.0.113.0/24', type: 'blackhole', dev: 'ens3' }]), t.testdir({}))
  t.same(found.adapters.map(a => a.name), ['ens3'])
  t.same(found.routes.map(r => r.destination), ['0.0.0.0/0'])
  t.same(found.findings, [])
})

t.test('bonds, VLANs and bridges over adapters are findings, and the adapters keep their permanent addresses', async t => {
  const found = await discover(host([
    { ifname: 'eth0', master: 'bond0', permaddr: '02:00:00:00:00:F0' }, { ifname: 'eth1', master: 'bond0', permaddr: '02:00:00:00:00:F1' },
    { ifname: 'bond0', linkinfo: { info_kind: 'bond' }, master: 'br0' }, { ifname: 'br0', linkinfo: { info_kind: 'bridge' }, addr_info: [{ family: 'inet', local: '192.0.2.5', prefixlen: 24, scope: 'global' }] },
    { ifname: 'bond0.100', link: 'bond0', linkinfo: { info_kind: 'vlan' } },
  ], [{ dst: 'default', dev: 'br0', gateway: '192.0.2.1' }]), t.testdir({}))
  t.same(found.adapters.map(a => a.macAddress), ['02:00:00:00:00:f0', '02:00:00:00:00:f1'])
  t.same(found.findings.map(f => [f.code, f.subject]), [['NETWORK_BOND', 'bond0'], ['NETWORK_BRIDGE', 'br0'], ['NETWORK_VLAN', 'bond0.100']])
  t.match(found.findings[1]?.message, /192\.0\.2\.5/)
  t.match(found.routes, [{ adapter: 'br0' }])
})

t.test('temporary and link-local addresses are not the server\'s', async t => {
  const found = await discover(host([{ ifname: 'eth0', addr_info: [
    { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' }, { family: 'inet6', local: '2001:db8::7', prefixlen: 64, scope: 'global', temporary: true },
    { family: 'inet6', local: '2001:db8::8', prefixlen: 64, scope: 'global' }, {},
  ] }]), t.testdir({}))
  t.same(found.adapters[0]?.addresses, [{ family: 'inet6', address: '2001:db8::8', prefixLength: 64 }])
})

t.test('behind the stub of systemd-resolved the real servers are found', async t => {
  const tree = t.testdir({ etc: { 'resolv.conf': 'nameserver 127.0.0.53\nsearch a\n' }, run: { systemd: { resolve: { 'resolv.conf': 'nameserver 192.0.2.1\nnameserver 192.0.2.2\n' } } } })
  t.same((await discover(host([]), tree)).dns, { servers: ['192.0.2.1', '192.0.2.2'], search: [] })
})

t.test('a missing ip tool is a finding', async t => {
  const runner = new ScriptedRunner([{ tool: 'ip', args: ['-j', '-d', 'addr'], error: 'TOOL_MISSING' }, { tool: 'ip', args: ['-j', '-4', 'route'], error: 'TOOL_TIMEOUT' }])
  const found = await discover(runner, t.testdir({}))
  t.same(found.adapters, [])
  t.same(found.findings.map(f => [f.code, f.subject]), [['DISCOVERY_INCOMPLETE', 'network adapters'], ['DISCOVERY_INCOMPLETE', 'routes']])
})

t.test('resolv.conf is read as the resolver reads it', t => {
  t.same(parseResolvConf('# c\nnameserver 1.1.1.1 # x\n;nameserver 2\nnameserver\ndomain d\nsearch a b\noptions x\n'), { servers: ['1.1.1.1'], search: ['a', 'b'] })
  t.end()
})
