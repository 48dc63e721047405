/** The server's adapters, routes and name servers. */
import { listLinks, listRoutes, type Link, type RouteEntry } from '../command/ip.ts'
import type { Runner } from '../command/runner.ts'
import type { NetworkAdapter, Route, Workload } from '../domain/workload.ts'
import { orFinding, type Report } from './findings.ts'
import type { SourceRoot } from './source-root.ts'

export interface NetworkRequest {
  runner: Runner
  root: SourceRoot
  namespace: string | undefined
  report: Report
  signal: AbortSignal
}

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/
/** In a namespace of its own a server can only have adapters of these kinds. */
const NAMESPACE_KINDS = new Set(['veth', 'tun', 'tap', 'dummy', 'macvlan', 'ipvlan'])
const REPORTED_KINDS: Readonly<Record<string, string>> = {
  bond: 'NETWORK_BOND', team: 'NETWORK_BOND', vlan: 'NETWORK_VLAN', bridge: 'NETWORK_BRIDGE',
}
const STUB_RESOLVER = '127.0.0.53'
const MAX_ROUTES = 1000

export async function discoverNetwork(request: NetworkRequest): Promise<Pick<Workload, 'adapters' | 'routes' | 'dns'>> {
  const { runner, root, namespace, report, signal } = request
  const advice = 'Check that the tool ip (iproute2) works on the source.'
  const links = await orFinding(report, 'network adapters', advice, [], async () => listLinks(runner, namespace, signal), signal)
  const entries = await orFinding(report, 'routes', advice, [], async () => listRoutes(runner, namespace, signal), signal)
  const physical = links.filter(l => isAdapter(l, namespace !== undefined))
  const stacked = links.filter(l => isStackedOn(l, physical, links))
  for (const link of stacked) reportStacked(link, report)
  return { adapters: physical.map(adapter), routes: routes(entries, [...physical, ...stacked]), dns: await readDns(root) }
}

/** What a machine has as hardware, or gets from its hypervisor: an Ethernet link that no software made. */
function isAdapter(link: Link, inNamespace: boolean): boolean {
  if (link.linkType !== 'ether' || !MAC.test(link.permanentAddress)) return false
  return link.kind === '' || (inNamespace && link.master === '' && NAMESPACE_KINDS.has(link.kind))
}

/** Bonds, VLANs and bridges that carry an adapter; a container's bridge carries none. */
function isStackedOn(link: Link, physical: readonly Link[], links: readonly Link[]): boolean {
  if (REPORTED_KINDS[link.kind] === undefined) return false
  const carries = (name: string, depth: number): boolean => depth < 8 && links.some(l =>
    (l.master === name || links.some(upper => upper.name === name && upper.lower === l.name)) && (physical.includes(l) || carries(l.name, depth + 1)))
  return carries(link.name, 0)
}

function reportStacked(link: Link, report: Report): void {
  report({
    code: REPORTED_KINDS[link.kind] ?? 'NETWORK_BOND', severity: 'warning', subject: link.name,
    message: `${link.name} is a ${link.kind}${link.addresses.length === 0 ? '' : ` with ${link.addresses.filter(a => a.scope === 'global').map(a => a.address).join(', ')}`}; its configuration is copied, the adapters below it are mapped one by one`,
    advice: 'Check the network of the replica after the cutover: a port group passes no LACP, and VLAN tags only when it is a trunk.',
  })
}

function adapter(link: Link): NetworkAdapter {
  const addresses = link.addresses.filter(a => a.scope !== 'link' && a.scope !== 'host' && !a.temporary)
  return {
    name: link.name, macAddress: link.permanentAddress, mtu: Math.max(1, link.mtu),
    addresses: addresses.map(({ family, address, prefixLength }) => ({ family, address, prefixLength })),
  }
}

function routes(entries: readonly RouteEntry[], links: readonly Link[]): Route[] {
  const names = new Set(links.map(l => l.name))
  return entries.filter(r => r.type === 'unicast' && names.has(r.device) && !r.destination.startsWith('fe80:')).slice(0, MAX_ROUTES).map(r => ({
    destination: r.destination === 'default' ? (r.family === 'inet' ? '0.0.0.0/0' : '::/0') : r.destination,
    ...(r.gateway === '' ? {} : { gateway: r.gateway }), adapter: r.device, ...(r.metric === undefined ? {} : { metric: r.metric }),
  }))
}

/** Behind the stub of systemd-resolved stand the servers that it asks. */
async function readDns(root: SourceRoot): Promise<Workload['dns']> {
  const dns = parseResolvConf(await root.text('/etc/resolv.conf') ?? '')
  if (!dns.servers.includes(STUB_RESOLVER)) return dns
  const behind = await root.text('/run/systemd/resolve/resolv.conf')
  return behind === undefined ? { ...dns, servers: [] } : parseResolvConf(behind)
}

/** resolv.conf(5): `search` and `domain` exclude each other, the last one counts. */
export function parseResolvConf(text: string): Workload['dns'] {
  const dns: Workload['dns'] = { servers: [], search: [] }
  for (const line of text.split('\n')) {
    const [key, ...values] = line.replace(/[#;].*$/, '').trim().split(/\s+/)
    if (key === 'nameserver' && values[0] !== undefined && dns.servers.length < 16) dns.servers.push(values[0])
    if (key === 'search') dns.search = values.slice(0, 32)
    if (key === 'domain') dns.search = values.slice(0, 1)
  }
  return dns
}
