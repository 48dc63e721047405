import t, { type Test } from 'tap'
import { NetworkSettings } from '../../../src/domain/network-settings.ts'
import { readdressRedHat, readdressSuse, routesSuse, switchedOff, withoutDefaultRoutes, withoutMembers } from '../../../src/replica/network-ifcfg.ts'
import { masterInInterfaces, readdressInterfaces } from '../../../src/replica/network-interfaces.ts'
import { isKeyfileOf, keyfileSwitchedOff, readdressKeyfile } from '../../../src/replica/network-keyfile.ts'
import { needsForgedTransmits, withOwnAddresses, withoutLacp } from '../../../src/replica/bonds.ts'
import { foreignClone, withoutOwnClones } from '../../../src/replica/network-cloned-macs.ts'
import { persistentRules } from '../../../src/replica/network-names.ts'
import { bindNetplan, inNetplan, readdressNetplan, withoutNetplan } from '../../../src/replica/network-netplan.ts'
import { isNetworkOf, isNetworkOfOne, readdressNetwork } from '../../../src/replica/network-networkd.ts'

const MAC = '00:50:56:01:02:03'
const chosen = NetworkSettings.parse({
  addresses: [{ family: 'inet', address: '198.51.100.7', prefixLength: 26 }, { family: 'inet', address: '198.51.100.8', prefixLength: 26 }, { family: 'inet6', address: '2001:db8::7', prefixLength: 64 }],
  gateways: ['198.51.100.1', '198.51.100.2', '2001:db8::1'], dns: ['198.51.100.53', '2001:db8::53'],
})
const one = NetworkSettings.parse({ addresses: [{ family: 'inet', address: '198.51.100.7', prefixLength: 24 }] })
/** Done twice it is the same. */
const twice = (t: Test, change: (text: string) => string, before: string, after: string): void => {
  t.equal(change(before), after)
  t.equal(change(after), after, 'done again it stays')
}

t.test('addresses are checked before they are written anywhere', async t => {
  for (const address of [{ family: 'inet', address: '198.51.100.7', prefixLength: 33 }, { family: 'inet', address: '2001:db8::7', prefixLength: 24 }, { family: 'inet', address: '198.51.100.7\nUP=x', prefixLength: 24 }, { family: 'inet6', address: 'fe80::1%eth0', prefixLength: 64 }]) {
    t.notOk(NetworkSettings.safeParse({ addresses: [address] }).success, JSON.stringify(address))
  }
  t.notOk(NetworkSettings.safeParse({ addresses: one.addresses, dns: ['ns.example'] }).success)
})

t.test('ifcfg of Red Hat: numbered keys and netmasks, which every generation reads', async t => {
  const before = '# Broadcom\nDEVICE=eth0\nBOOTPROTO="dhcp"\nHWADDR=00:50:56:01:02:03\nONBOOT=yes\nIPADDR=192.0.2.10\nPREFIX=24\nIPADDR2=192.0.2.11\nNETMASK2=255.255.255.0\nGATEWAY=192.0.2.1\nDNS1=192.0.2.53\nDNS3=192.0.2.55\nIPV6ADDR=2001:db8:f::1/64\nPEERDNS=no\nDOMAIN="example.net"\n'
  twice(t, text => readdressRedHat(text, chosen), before, '# Broadcom\nDEVICE=eth0\nBOOTPROTO=none\nHWADDR=00:50:56:01:02:03\nONBOOT=yes\nIPADDR=198.51.100.7\nGATEWAY=198.51.100.1\nDNS1=198.51.100.53\nIPV6ADDR=2001:db8::7/64\nPEERDNS=yes\nDOMAIN="example.net"\nNETMASK=255.255.255.192\nIPADDR1=198.51.100.8\nNETMASK1=255.255.255.192\nIPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6_DEFAULTGW=2001:db8::1\nDNS2=2001:db8::53\n')
  twice(t, text => readdressRedHat(text, one), before, '# Broadcom\nDEVICE=eth0\nBOOTPROTO=none\nHWADDR=00:50:56:01:02:03\nONBOOT=yes\nIPADDR=198.51.100.7\nDNS1=192.0.2.53\nDNS3=192.0.2.55\nPEERDNS=no\nDOMAIN="example.net"\nNETMASK=255.255.255.0\n')
  t.equal(withoutDefaultRoutes('default via 192.0.2.1 dev eth0\n10.0.0.0/8 via 192.0.2.9 dev eth0\n0.0.0.0/0 via 192.0.2.1\n'), '10.0.0.0/8 via 192.0.2.9 dev eth0\n')
  t.equal(withoutDefaultRoutes('ADDRESS0=10.0.0.0\nNETMASK0=255.0.0.0\nGATEWAY0=192.0.2.9\nADDRESS1=0.0.0.0\nNETMASK1=0.0.0.0\nGATEWAY1=192.0.2.1\n'), 'ADDRESS0=10.0.0.0\nNETMASK0=255.0.0.0\nGATEWAY0=192.0.2.9\n')
  t.equal(switchedOff('DEVICE=eth1\nONBOOT=yes\n', 'rhel'), 'DEVICE=eth1\nONBOOT=no\n')
})

t.test('ifcfg of SUSE: addresses with suffixes, gateways in routes', async t => {
  const before = 'BOOTPROTO=\'static\'\nBROADCAST=\'\'\nETHTOOL_OPTIONS=\'\'\nIPADDR=\'192.0.2.10/24\'\nIPADDR_0=\'192.0.2.12/24\'\nLABEL_0=\'web\'\nNETMASK=\'\'\nNETWORK=\'\'\nSTARTMODE=\'auto\'\n'
  twice(t, text => readdressSuse(text, chosen), before, 'BOOTPROTO=static\nETHTOOL_OPTIONS=\'\'\nIPADDR=198.51.100.7/26\nSTARTMODE=\'auto\'\nIPADDR_1=198.51.100.8/26\nIPADDR_2=2001:db8::7/64\n')
  const routes = '# gateway\ndefault 192.0.2.1 - -\n10.0.0.0/8 192.0.2.9 - eth0\ndefault 203.0.113.1 - eth1\n'
  twice(t, text => routesSuse(text, 'eth0', chosen), routes, '# gateway\n10.0.0.0/8 192.0.2.9 - eth0\ndefault 203.0.113.1 - eth1\ndefault 198.51.100.1 - eth0\ndefault 2001:db8::1 - eth0\n')
  t.equal(routesSuse(routes, 'eth0', one), routes, 'a gateway for all stays when none was chosen')
  t.equal(withoutMembers('BONDING_MASTER=yes\nBONDING_SLAVE0=\'eth0\'\nBONDING_SLAVE_1="eth1"\nIPADDR=192.0.2.1/24\n', new Set(['eth1', 'eth7'])), 'BONDING_MASTER=yes\nBONDING_SLAVE0=\'eth0\'\nIPADDR=192.0.2.1/24\n')
  t.equal(withoutMembers('BRIDGE=\'yes\'\nBRIDGE_PORTS=\'eth0 eth1 eth2\'\n', new Set(['eth1'])), 'BRIDGE=\'yes\'\nBRIDGE_PORTS=\'eth0 eth2\'\n')
  t.equal(withoutMembers('BONDING_SLAVE0=eth0\n', new Set(['eth1'])), 'BONDING_SLAVE0=eth0\n')
  t.equal(switchedOff('STARTMODE=\'auto\'\n', 'suse'), 'STARTMODE=off\n')
})

t.test('a keyfile of NetworkManager', async t => {
  const before = '[connection]\nid=Wired connection 1\nuuid=0f0f0f0f-0000-4000-8000-000000000001\ntype=ethernet\ninterface-name=ens192\n\n[ethernet]\nmac-address=00:50:56:01:02:03\n\n[ipv4]\naddress1=192.0.2.10/24,192.0.2.1\nroute1=10.0.0.0/8,192.0.2.9\ndns=192.0.2.53;\ndns-search=example.net;\nmethod=manual\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n'
  twice(t, text => readdressKeyfile(text, chosen), before, '[connection]\nid=Wired connection 1\nuuid=0f0f0f0f-0000-4000-8000-000000000001\ntype=ethernet\ninterface-name=ens192\n\n[ethernet]\nmac-address=00:50:56:01:02:03\n\n[ipv4]\nroute1=10.0.0.0/8,192.0.2.9\ndns-search=example.net;\nmethod=manual\naddress1=198.51.100.7/26,198.51.100.1\naddress2=198.51.100.8/26\ndns=198.51.100.53;\n\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=manual\naddress1=2001:db8::7/64,2001:db8::1\ndns=2001:db8::53;\n')
  t.match(readdressKeyfile(before, one), /\[ipv6\]\naddr-gen-mode=stable-privacy\nmethod=auto\n/, 'what is automatic and was not chosen stays so')
  t.match(readdressKeyfile(before, one), /^dns=192\.0\.2\.53;$/m)
  t.ok(isKeyfileOf(before, 'ens192', []))
  t.notOk(isKeyfileOf(before, 'ens193', [MAC]), 'the name counts before the address')
  t.ok(isKeyfileOf(before.replace('interface-name=ens192\n', ''), 'x', [MAC]))
  t.match(keyfileSwitchedOff(before), /interface-name=ens192\nautoconnect=false\n\n/)
})

t.test('netplan keeps comments, other interfaces, and its renderer', async t => {
  const before = 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    # the front\n    ens3:\n      dhcp4: true\n      match:\n        macaddress: 00:50:56:01:02:03\n        driver: virtio_net\n      set-name: ens3\n    ens4: {dhcp4: yes}\n'
  const bound = bindNetplan(before, 'ens3', MAC)
  t.equal(bound, before.replace('        driver: virtio_net\n', ''))
  t.equal(bindNetplan(bound, 'ens3', MAC), bound)
  twice(t, text => readdressNetplan(text, 'ens3', [MAC], chosen), bound, 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    # the front\n    ens3:\n      dhcp4: false\n      match:\n        macaddress: 00:50:56:01:02:03\n      set-name: ens3\n      dhcp6: false\n      accept-ra: false\n      addresses:\n        - 198.51.100.7/26\n        - 198.51.100.8/26\n        - 2001:db8::7/64\n      routes:\n        - to: 0.0.0.0/0\n          via: 198.51.100.1\n        - to: ::/0\n          via: 2001:db8::1\n      nameservers:\n        addresses:\n          - 198.51.100.53\n          - 2001:db8::53\n    ens4: {dhcp4: yes}\n')
  t.match(readdressNetplan('network: {ethernets: {eth0: {addresses: [192.0.2.10/24], gateway4: 192.0.2.1, routes: [{to: default, via: 192.0.2.1}, {to: 10.0.0.0/8, via: 192.0.2.9}]}}}\n', 'eth0', [], one), /^network: \{ethernets: \{eth0: \{routes:.*10\.0\.0\.0\/8.*addresses:.*198\.51\.100\.7\/24|^network:/s)
  t.equal(withoutNetplan(before, 'ens4', []), before.replace('    ens4: {dhcp4: yes}\n', ''))
  t.same(inNetplan('network:\n  ethernets:\n    a: {match: {macaddress: "00:50:56:01:02:03"}}\n  bonds:\n    bond0: {interfaces: [a]}\n', 'ens3', [MAC]), { defined: true, master: 'bond0' })
  t.throws(() => readdressNetplan('network: [\n', 'a', [], one), { code: 'BOOT_FIXUP_FAILED' })
})

t.test('a .network file of networkd', async t => {
  const before = '[Match]\nName=ens3\n\n[Network]\nDHCP=ipv4\nDNS=192.0.2.53\nDomains=example.net\n\n[Address]\nAddress=192.0.2.10/24\n\n[Route]\nGateway=192.0.2.1\n\n[Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.9\n'
  twice(t, text => readdressNetwork(text, chosen), before, '[Match]\nName=ens3\n\n[Network]\nDomains=example.net\nDHCP=no\nAddress=198.51.100.7/26\nAddress=198.51.100.8/26\nAddress=2001:db8::7/64\nGateway=198.51.100.1\nGateway=2001:db8::1\nDNS=198.51.100.53\nDNS=2001:db8::53\nIPv6AcceptRA=no\n\n[Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.9\n')
  t.ok(isNetworkOf('[Match]\nName=en* eth?\n', 'eth0', []))
  t.notOk(isNetworkOf('[Match]\nName=en*\nMACAddress=52:54:00:00:00:01\n', 'ens3', [MAC]))
  t.notOk(isNetworkOfOne('[Match]\nName=en*\n'), 'a pattern may be for others, too')
})

t.test('interfaces of ifupdown keep what is no address', async t => {
  const before = 'auto lo ens3\niface lo inet loopback\n\niface ens3 inet static\n    address 192.0.2.10\n    netmask 255.255.255.0\n    gateway 192.0.2.1\n    dns-nameservers 192.0.2.53\n    dns-search example.net\n    up ip route add 10.0.0.0/8 via 192.0.2.9\n    mtu 9000\n\niface ens3 inet6 static\n    address 2001:db8:f::1/64\niface ens4 inet dhcp\n'
  const after = readdressInterfaces(before, 'ens3', chosen)
  t.equal(after, 'auto lo ens3\niface lo inet loopback\n\niface ens3 inet static\n    address 198.51.100.7\n    netmask 255.255.255.192\n    gateway 198.51.100.1\n    dns-nameservers 198.51.100.53 2001:db8::53\n    dns-search example.net\n    up ip route add 10.0.0.0/8 via 192.0.2.9\n    mtu 9000\n\niface ens3 inet static\n    address 198.51.100.8\n    netmask 255.255.255.192\n\niface ens3 inet6 static\n    address 2001:db8::7/64\n    gateway 2001:db8::1\n\niface ens4 inet dhcp\n')
  t.equal(readdressInterfaces(after, 'ens3', chosen), after)
  t.match(readdressInterfaces('iface ens3 inet dhcp\niface ens3 inet6 auto\n', 'ens3', one), /iface ens3 inet static\n {4}address 198\.51\.100\.7\n.*iface ens3 inet6 auto/s)
  t.equal(masterInInterfaces('auto bond0\niface bond0 inet dhcp\n  bond-slaves ens3 ens4\n', 'ens4'), 'bond0')
})

t.test('udev rules: the kept names belong to the new addresses, others are not touched', async t => {
  const adapters = [{ sourceName: 'eth0', sourceMac: '52:54:00:00:00:01', mac: MAC, network: 'n', type: 'vmxnet3' as const, addresses: [] }]
  twice(t, text => persistentRules(text, adapters), `# PCI device 0x14e4\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="tg3", ATTR{address}=="${MAC}", KERNEL=="eth*", NAME="eth0"\nSUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:09", NAME="eth9"\n`,
    `# PCI device 0x14e4\nSUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:09", NAME="eth9"\n# landfall: eth0 keeps its name\nSUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${MAC}", ATTR{type}=="1", NAME="eth0"\n`)
})

t.test('a bond that speaks LACP becomes active-backup in every stack', async t => {
  for (const [before, after] of [
    ['BONDING_OPTS="mode=4 miimon=100 lacp_rate=1"', 'BONDING_OPTS="mode=active-backup miimon=100"'], ['BONDING_OPTS="mode=802.3ad miimon=100"', 'BONDING_OPTS="mode=active-backup miimon=100"'],
    ['BONDING_MODULE_OPTS=\'mode=802.3ad miimon=100\'', 'BONDING_MODULE_OPTS=\'mode=active-backup miimon=100\''], ['    bond-mode 802.3ad\n    bond-lacp-rate 1\n    bond-miimon 100', '    bond-mode active-backup\n    bond-miimon 100'],
    ['    bond_mode 4', '    bond_mode active-backup'], ['options bonding mode=4', 'options bonding mode=active-backup'], ['[bond]\nmode=802.3ad\nlacp_rate=fast', '[bond]\nmode=active-backup'],
    ['[Bond]\nMode=802.3ad\nLACPTransmitRate=fast', '[Bond]\nMode=active-backup'], ['      parameters:\n        mode: 802.3ad\n        lacp-rate: fast', '      parameters:\n        mode: active-backup'],
    ['[macvlan]\nmode=4\nparent=eth0', '[macvlan]\nmode=4\nparent=eth0'],
    ['mode=1 miimon=100\n# mode=4\nmtu 4000\nwireless-mode 40', 'mode=1 miimon=100\n# mode=4\nmtu 4000\nwireless-mode 40'],
  ] as const) t.equal(withoutLacp(before), after)
})

t.test('a bond of which one adapter works at a time sends under that adapter\'s address, in every stack', async t => {
  for (const [before, after] of [
    ['BONDING_OPTS="mode=1 miimon=100"', 'BONDING_OPTS="mode=1 fail_over_mac=1 miimon=100"'], ['BONDING_OPTS="miimon=100 mode=active-backup"', 'BONDING_OPTS="miimon=100 mode=active-backup fail_over_mac=1"'],
    ['BONDING_MODULE_OPTS=\'mode=active-backup miimon=100\'', 'BONDING_MODULE_OPTS=\'mode=active-backup fail_over_mac=1 miimon=100\''],
    ['alias bond0 bonding\noptions bond0 miimon=100 mode=1', 'alias bond0 bonding\noptions bond0 miimon=100 mode=1 fail_over_mac=1'],
    ['iface bond0 inet dhcp\n    bond-mode active-backup\n    bond-slaves a b', 'iface bond0 inet dhcp\n    bond-mode active-backup\n    bond-fail-over-mac active\n    bond-slaves a b'],
    ['[connection]\ntype=bond\n\n[bond]\nmiimon=1\nmode=active-backup\n', '[connection]\ntype=bond\n\n[bond]\nmiimon=1\nmode=active-backup\nfail_over_mac=active\n'],
    ['[NetDev]\nKind=bond\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=1s\n', '[NetDev]\nKind=bond\n\n[Bond]\nMode=active-backup\nFailOverMACPolicy=active\nMIIMonitorSec=1s\n'],
    ['      interfaces:\n        [a, b]\n      parameters:\n        mode: active-backup\n', '      interfaces:\n        [a, b]\n      parameters:\n        mode: active-backup\n        fail-over-mac-policy: active\n'],
    ['    bond0: {interfaces: [a], parameters: {mode: active-backup, primary: a}}', '    bond0: {interfaces: [a], parameters: {mode: active-backup, fail-over-mac-policy: active, primary: a}}'],
  ] as const) twice(t, withOwnAddresses, before, after)
  for (const other of ['[macvlan]\nmode=1\n', 'options other mode=1', 'BONDING_OPTS="mode=balance-rr"', 'BONDING_OPTS="mode=10"', '    bond-mode balance-alb', 'BONDING_OPTS="mode=1 fail_over_mac=2"', '# mode: active-backup', 'mode: active-backup']) t.equal(withOwnAddresses(other), other)
})

t.test('a bond that sends under addresses not its adapters\' own is told, in every stack', async t => {
  for (const [text, mode] of [
    ['BONDING_OPTS="miimon=100 mode=balance-alb"', 'balance-alb'], ['    bond-mode balance-rr', 'balance-rr'], ['[bond]\nmode=balance-xor', 'balance-xor'], ['[Bond]\nMode=broadcast', 'broadcast'],
    ['      parameters:\n        mode: "balance-tlb"', 'balance-tlb'], ['# mode=balance-rr\nmode=active-backup', undefined], ['[macvlan]\nmode=2', undefined],
  ] as const) t.equal(needsForgedTransmits(text), mode, text)
})

t.test('a team that speaks LACP becomes active-backup, in every form of its configuration', async t => {
  for (const [before, after] of [
    ['TEAM_CONFIG=\'{"runner": {"name": "lacp", "active": true}}\'', 'TEAM_CONFIG=\'{"runner": {"name": "activebackup", "active": true}}\''],
    ['TEAM_CONFIG="{\\"runner\\":{\\"name\\":\\"lacp\\"}}"', 'TEAM_CONFIG="{\\"runner\\":{\\"name\\":\\"activebackup\\"}}"'],
    ['{\n  "device": "team0",\n  "runner": {\n    "name": "lacp",\n    "tx_hash": ["eth"]\n  }\n}', '{\n  "device": "team0",\n  "runner": {\n    "name": "activebackup",\n    "tx_hash": ["eth"]\n  }\n}'],
    ['[team]\nrunner=lacp\nrunner-active=true', '[team]\nrunner=activebackup\nrunner-active=true'], ['TEAM_RUNNER=\'lacp\'', 'TEAM_RUNNER=\'activebackup\''], ['{"runner": {"name": "loadbalance"}}', '{"runner": {"name": "loadbalance"}}'],
  ] as const) twice(t, withoutLacp, before, after)
})

t.test('a team of which one adapter works at a time sends under that adapter\'s address, in every form of its configuration that can say so', async t => {
  for (const [before, after] of [
    ['TEAM_CONFIG=\'{"runner": {"name": "activebackup"}}\'', 'TEAM_CONFIG=\'{"runner": {"name": "activebackup", "hwaddr_policy": "by_active"}}\''],
    ['TEAM_CONFIG="{\\"runner\\":{\\"name\\":\\"activebackup\\"}}"', 'TEAM_CONFIG="{\\"runner\\":{\\"name\\":\\"activebackup\\", \\"hwaddr_policy\\": \\"by_active\\"}}"'],
    ['{\n  "runner": {\n    "name" : "activebackup"\n  },\n  "link_watch": {"name": "ethtool"}\n}', '{\n  "runner": {\n    "name" : "activebackup", "hwaddr_policy": "by_active"\n  },\n  "link_watch": {"name": "ethtool"}\n}'],
    ['[team]\nrunner=activebackup\n', '[team]\nrunner=activebackup\nrunner-hwaddr-policy=by_active\n'],
  ] as const) twice(t, withOwnAddresses, before, after)
  for (const other of ['{"runner": {"name": "activebackup", "hwaddr_policy": "only_active"}}', '{"runner": {"name": "loadbalance"}}', '[wifi]\nrunner=activebackup', 'TEAM_RUNNER=\'activebackup\'']) t.equal(withOwnAddresses(other), other)
})

t.test('a team that sends under addresses not its adapters\' own is told', async t => {
  for (const [text, runner] of [
    ['{"runner": {"name": "loadbalance", "tx_balancer": {"name": "basic"}}}', 'loadbalance'], ['TEAM_CONFIG="{\\"runner\\":{\\"name\\":\\"roundrobin\\"}}"', 'roundrobin'], ['[team]\nrunner=broadcast', 'broadcast'],
    ['TEAM_RUNNER=\'activebackup\'', 'activebackup'], ['{"runner": {"name": "activebackup", "hwaddr_policy": "by_active"}}', undefined], ['# "name": "random"', undefined],
  ] as const) t.equal(needsForgedTransmits(text), runner, text)
})

t.test('a MAC address that is set and is an adapter\'s own goes, another one is told, in every stack that has a word for it', async t => {
  const own = new Set([MAC])
  for (const [before, after] of [
    ['[ethernet]\nmac-address=00:50:56:01:02:03\ncloned-mac-address=00:50:56:01:02:03\nmtu=1500\n', '[ethernet]\nmac-address=00:50:56:01:02:03\nmtu=1500\n'],
    ['DEVICE=eth0\nMACADDR="00:50:56:01:02:03"\nHWADDR=00:50:56:01:02:03\n', 'DEVICE=eth0\nHWADDR=00:50:56:01:02:03\n'], ['LLADDR=\'00-50-56-01-02-03\'\nSTARTMODE=auto\n', 'STARTMODE=auto\n'],
    ['MACADDR=52:54:00:99:99:99\n', 'MACADDR=52:54:00:99:99:99\n'], ['network:\n  ethernets:\n    a:\n      match: {macaddress: 00:50:56:01:02:03}\n', 'network:\n  ethernets:\n    a:\n      match: {macaddress: 00:50:56:01:02:03}\n'],
  ] as const) twice(t, text => withoutOwnClones(text, own), before, after)
  for (const [text, mac] of [
    ['MACADDR=52:54:00:99:99:99\n', '52:54:00:99:99:99'], ['LLADDR=\'\'\n', undefined], ['cloned-mac-address=permanent\n', undefined], ['cloned-mac-address=stable\n', 'stable'], ['# MACADDR=52:54:00:99:99:99\n', undefined], ['MACADDR=00:50:56:01:02:03\n', undefined],
  ] as const) t.equal(foreignClone(text, own), mac, text)
})
