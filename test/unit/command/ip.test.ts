import { join } from 'node:path'
import t from 'tap'
import { listLinks, listRoutes } from '../../../src/command/ip.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)

t.test('links of a namespace come with kind, master and addresses', async t => {
  const links = await listLinks(await ScriptedRunner.open(FIXTURES, ['ip/namespace-links']), 'gtest', signal)
  t.same(links.map(l => [l.name, l.kind, l.master]), [['lo', '', ''], ['eth0', 'veth', ''], ['br0', 'bridge', ''], ['veth0', 'veth', 'br0']])
  t.match(links[1], { linkType: 'ether', address: '52:54:00:12:34:56', permanentAddress: '52:54:00:12:34:56', mtu: 1500, onBus: false })
  t.same(links[1]?.addresses, [
    { family: 'inet', address: '192.0.2.10', prefixLength: 24, scope: 'global', temporary: false },
    { family: 'inet6', address: '2001:db8::10', prefixLength: 64, scope: 'global', temporary: false },
    { family: 'inet6', address: 'fe80::5054:ff:fe12:3456', prefixLength: 64, scope: 'link', temporary: false },
  ])
})

t.test('the permanent address wins over the one a bond gave, empty records of older versions are skipped', async t => {
  const stdout = JSON.stringify([{}, { ifindex: 2, ifname: 'eth0', link_type: 'ether', address: '02:00:00:00:00:AA', permaddr: '02:00:00:00:00:BB', master: 'bond0', parentbus: 'pci' }])
  const links = await listLinks(new ScriptedRunner([{ tool: 'ip', args: ['-j', '-d', 'addr'], stdout }]), undefined, signal)
  t.equal(links.length, 1)
  t.match(links[0], { address: '02:00:00:00:00:aa', permanentAddress: '02:00:00:00:00:bb', master: 'bond0', onBus: true })
})

t.test('routes of both families are listed, of several next hops the first', async t => {
  const runner = await ScriptedRunner.open(FIXTURES, ['ip/namespace-routes-4', 'ip/namespace-routes-6'])
  t.same((await listRoutes(runner, 'gtest', signal)).map(r => [r.family, r.destination, r.gateway, r.device, r.metric]), [
    ['inet', 'default', '192.0.2.1', 'eth0', 100], ['inet', '192.0.2.0/24', '', 'eth0', undefined],
    ['inet', '198.51.100.0/24', '192.0.2.2', 'eth0', undefined], ['inet6', '2001:db8::/64', '', 'eth0', 256],
    ['inet6', 'fe80::/64', '', 'eth0', 256], ['inet6', 'default', '2001:db8::1', 'eth0', 1024],
  ])
})

t.test('no route at all is an empty list, text in another form is TOOL_OUTPUT', async t => {
  const silent = new ScriptedRunner([{ tool: 'ip', args: ['-j', '<any>', 'route'], stdout: '' }])
  t.same(await listRoutes(silent, undefined, signal), [])
  const odd = new ScriptedRunner([{ tool: 'ip', args: ['-j', '-d', 'addr'], stdout: '1: lo: <LOOPBACK>' }])
  await t.rejects(listLinks(odd, undefined, signal), { code: 'TOOL_OUTPUT' })
})
