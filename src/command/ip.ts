/** Network links, addresses and routes: `ip -j`. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

export interface Link {
  index: number
  name: string
  /** ether, loopback, none ... */
  linkType: string
  /** what made it when it is no hardware: veth, bridge, vlan, bond, dummy, tun ...; '' for hardware */
  kind: string
  /** address that it has now, lower case */
  address: string
  /** address that it was made with */
  permanentAddress: string
  mtu: number
  /** bond, bridge or team that it belongs to; '' for none */
  master: string
  /** device that it lies on (VLAN, macvlan); '' for none */
  lower: string
  /** whether it hangs on a bus (PCI, virtio, vmbus ...) as a device */
  onBus: boolean
  addresses: readonly LinkAddress[]
}

export interface LinkAddress { family: 'inet' | 'inet6', address: string, prefixLength: number, scope: string, temporary: boolean }

export interface RouteEntry { family: 'inet' | 'inet6', destination: string, gateway: string, device: string, metric: number | undefined, type: string }

const Address = z.object({
  family: z.string().optional(), local: z.string().optional(), prefixlen: z.number().int().min(0).max(128).optional(), scope: z.string().default('global'),
  temporary: z.boolean().default(false),
})

const Links = z.array(z.object({
  ifindex: z.number().int(), ifname: z.string(), link_type: z.string().default(''), address: z.string().default(''), permaddr: z.string().optional(),
  mtu: z.number().int().default(1500), master: z.string().optional(), link: z.string().nullish(), parentbus: z.string().optional(),
  linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
  addr_info: z.array(Address).default([]),
}).or(z.object({ ifname: z.undefined().optional() }))) // older versions print {} for what a filter leaves out

const Routes = z.array(z.object({
  dst: z.string(), gateway: z.string().optional(), via: z.object({ host: z.string() }).optional(), dev: z.string().optional(),
  metric: z.number().int().optional(), type: z.string().default('unicast'),
  nexthops: z.array(z.object({ gateway: z.string().optional(), via: z.object({ host: z.string() }).optional(), dev: z.string().optional() })).optional(),
}))

const TIMEOUT_MS = 15_000

/** `-n NAME` when the server's adapters live in a network namespace. */
function inNamespace(namespace: string | undefined): string[] {
  return namespace === undefined ? [] : ['-n', namespace]
}

/** All links with their addresses, in the kernel's order. @throws {AppError} TOOL_OUTPUT, what Runner throws */
export async function listLinks(runner: Runner, namespace: string | undefined, signal: AbortSignal): Promise<Link[]> {
  const { stdout } = await runner.run('ip', [...inNamespace(namespace), '-j', '-d', 'addr'], { signal, timeoutMs: TIMEOUT_MS })
  return parse(Links, stdout, 'links').flatMap(l => l.ifname === undefined ? [] : [{
    index: l.ifindex, name: l.ifname, linkType: l.link_type, kind: l.linkinfo?.info_kind ?? '', address: l.address.toLowerCase(),
    permanentAddress: (l.permaddr ?? l.address).toLowerCase(), mtu: l.mtu, master: l.master ?? '', lower: l.link ?? '', onBus: l.parentbus !== undefined,
    addresses: l.addr_info.flatMap(linkAddress),
  }]).sort((a, b) => a.index - b.index)
}

function linkAddress(a: z.infer<typeof Address>): LinkAddress[] {
  if ((a.family !== 'inet' && a.family !== 'inet6') || a.local === undefined || a.prefixlen === undefined) return []
  return [{ family: a.family, address: a.local, prefixLength: a.prefixlen, scope: a.scope, temporary: a.temporary }]
}

/** The main routing table of both families; of several next hops the first. @throws {AppError} TOOL_OUTPUT, what Runner throws */
export async function listRoutes(runner: Runner, namespace: string | undefined, signal: AbortSignal): Promise<RouteEntry[]> {
  const routes: RouteEntry[] = []
  for (const family of ['inet', 'inet6'] as const) {
    const { stdout } = await runner.run('ip', [...inNamespace(namespace), '-j', family === 'inet' ? '-4' : '-6', 'route'], { signal, timeoutMs: TIMEOUT_MS })
    for (const r of parse(Routes, stdout, 'routes')) {
      const hop = r.nexthops?.[0]
      routes.push({
        family, destination: r.dst, gateway: r.gateway ?? r.via?.host ?? hop?.gateway ?? hop?.via?.host ?? '', device: r.dev ?? hop?.dev ?? '',
        metric: r.metric, type: r.type,
      })
    }
  }
  return routes
}

function parse<T>(schema: z.ZodType<T>, stdout: string, what: string): T {
  try {
    return schema.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout)) // no route at all is no text at all
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read the ${what} of ip`, { cause: error })
  }
}
