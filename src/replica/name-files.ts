/** /etc/hosts and /etc/resolv.conf of a server that gets other addresses. Pure. */
import type { NetworkSettings } from '../domain/network-settings.ts'
import type { PlannedAdapter } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'

/** Old address to new one: the first to the first, and so on, by family; what has no counterpart stays. */
export function newAddresses(workload: Pick<Workload, 'adapters'>, chosen: readonly { adapter: PlannedAdapter, settings: NetworkSettings }[]): ReadonlyMap<string, string> {
  const moved = new Map<string, string>()
  for (const { adapter, settings } of chosen) {
    for (const family of ['inet', 'inet6'] as const) {
      const old = workload.adapters.find(a => a.macAddress === adapter.sourceMac)?.addresses.filter(a => a.family === family) ?? []
      for (const [i, { address }] of settings.addresses.filter(a => a.family === family).entries()) {
        const was = old[i]?.address
        if (was !== undefined && was !== address) moved.set(was, address)
      }
    }
  }
  return moved
}

/** Only the first word of a line, and only when it is exactly an old address. */
export function withHosts(text: string, moved: ReadonlyMap<string, string>): string {
  return text.split('\n').map(line => line.replace(/^(\s*)([0-9A-Fa-f.:]+)(?=\s)/, (found, blank: string, address: string) => {
    const to = moved.get(address)
    return to === undefined ? found : `${blank}${to}`
  })).join('\n')
}

/** The name servers in place of those that were there; search and options stay. */
export function withNameServers(text: string, servers: readonly string[]): string {
  const lines = text.split('\n')
  const at = lines.findIndex(line => /^\s*nameserver\s/.test(line))
  const rest = lines.filter(line => !/^\s*nameserver\s/.test(line))
  const added = servers.map(s => `nameserver ${s}`)
  if (at < 0) return `${text.replace(/\n+$/, '')}${text.trim() === '' ? '' : '\n'}${added.join('\n')}\n`
  return [...rest.slice(0, at), ...added, ...rest.slice(at)].join('\n')
}
