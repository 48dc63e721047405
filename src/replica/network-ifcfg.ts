/** ifcfg files of Red Hat and of SUSE, and the files for routes and name servers beside them. Pure. */
import { addressesOf, gatewayOf, netmask, withPrefix, type NetworkSettings } from '../domain/network-settings.ts'
import { settingOf, withSettings } from './shell-settings.ts'

const RED_HAT_STATIC = /^(?:(?:IPADDR|PREFIX|NETMASK|NETWORK|BROADCAST|GATEWAY)\d*|IPV6ADDR|IPV6ADDR_SECONDARIES|IPV6_DEFAULTGW|DHCP_HOSTNAME|DHCP_CLIENT_ID)$/
const SUSE_STATIC = /^(?:(?:IPADDR|PREFIXLEN|NETMASK|BROADCAST|REMOTE_IPADDR|LABEL|SCOPE)(?:_[A-Za-z0-9]+)?|NETWORK|GATEWAY)$/

/** The interface that carries the addresses of one that is part of it (a bond or bridge), as the file says. */
export function masterInIfcfg(text: string): string | undefined {
  return settingOf(text, 'MASTER') ?? settingOf(text, 'TEAM_MASTER') ?? settingOf(text, 'BRIDGE')
}

/** Red Hat: NETMASK and numbered keys, which every generation from 5 to 9 and NetworkManager read. */
export function readdressRedHat(text: string, settings: NetworkSettings): string {
  const set: Record<string, string> = {}
  const v4 = addressesOf(settings, 'inet')
  for (const [i, { address, prefixLength }] of v4.entries()) {
    const number = i === 0 ? '' : String(i)
    set[`IPADDR${number}`] = address
    set[`NETMASK${number}`] = netmask(prefixLength)
  }
  set['BOOTPROTO'] = 'none'
  const gateway = gatewayOf(settings, 'inet')
  if (gateway !== undefined) set['GATEWAY'] = gateway
  const [first, ...further] = addressesOf(settings, 'inet6').map(withPrefix)
  if (first !== undefined) {
    Object.assign(set, { IPV6INIT: 'yes', IPV6_AUTOCONF: 'no', IPV6ADDR: first, ...(further.length === 0 ? {} : { IPV6ADDR_SECONDARIES: further.join(' ') }) })
    const gateway6 = gatewayOf(settings, 'inet6')
    if (gateway6 !== undefined) set['IPV6_DEFAULTGW'] = gateway6
  }
  for (const [i, server] of settings.dns.entries()) set[`DNS${String(i + 1)}`] = server
  if (settings.dns.length > 0 && settingOf(text, 'PEERDNS') !== undefined) set['PEERDNS'] = 'yes'
  const removed = settings.dns.length === 0 ? RED_HAT_STATIC : new RegExp(`${RED_HAT_STATIC.source}|^DNS\\d+$`)
  return withSettings(text, removed, set)
}

/** SUSE: IPADDR with its prefix, further ones with a suffix. */
export function readdressSuse(text: string, settings: NetworkSettings): string {
  const set: Record<string, string> = { BOOTPROTO: 'static' }
  for (const [i, address] of settings.addresses.entries()) set[`IPADDR${i === 0 ? '' : `_${String(i)}`}`] = withPrefix(address)
  return withSettings(text, SUSE_STATIC, set)
}

/** route-NAME of Red Hat without default routes: the gateway stands in the ifcfg file. In both of its forms. */
export function withoutDefaultRoutes(text: string): string {
  const numbers = new Set([...text.matchAll(/^\s*ADDRESS(\d+)=["']?0\.0\.0\.0["']?\s*$/gm)].map(m => m[1]))
  return text.split('\n').filter(line => {
    const number = /^\s*(?:ADDRESS|NETMASK|GATEWAY)(\d+)=/.exec(line)?.[1]
    return number === undefined ? !/^\s*(?:default|0\.0\.0\.0\/0|::\/0)(?:\s|$)/.test(line) : !numbers.has(number)
  }).join('\n')
}

/** routes or ifroute-NAME of SUSE: default routes of the adapter go; those without an adapter count as its own when it gets a gateway. */
export function routesSuse(text: string, name: string, settings: NetworkSettings): string {
  const gateways = (['inet', 'inet6'] as const).map(family => gatewayOf(settings, family))
  const kept = text.split('\n').filter(line => {
    const [destination = '', gateway = '', , device = '-'] = line.trim().split(/\s+/)
    if (destination !== 'default' && destination !== '0.0.0.0/0' && destination !== '::/0') return true
    const replaced = gateways[gateway.includes(':') ? 1 : 0] !== undefined
    return device === name ? false : !(device === '-' && replaced)
  })
  const added = gateways.flatMap(gateway => gateway === undefined ? [] : [`default ${gateway} - ${name}`])
  const body = kept.join('\n').replace(/\n+$/, '')
  return added.length === 0 ? kept.join('\n') : `${body}${body === '' ? '' : '\n'}${added.join('\n')}\n`
}

/** An adapter that is gone is not started, and nobody waits for it. */
export function switchedOff(text: string, family: 'rhel' | 'suse'): string {
  return withSettings(text, undefined, family === 'rhel' ? { ONBOOT: 'no' } : { STARTMODE: 'off' })
}

/** A bond, team or bridge of SUSE without adapters that are gone: it waits for each that it is made of. */
export function withoutMembers(text: string, gone: ReadonlySet<string>): string {
  const keys = [...text.matchAll(/^\s*((?:BONDING_SLAVE|TEAM_PORT_DEVICE)_?\d+)=/gm)].map(match => match[1] ?? '')
  const without = withSettings(text, new RegExp(`^(?:${keys.filter(key => gone.has(settingOf(text, key) ?? '')).join('|') || '(?!)'})$`), {})
  const ports = settingOf(without, 'BRIDGE_PORTS')?.split(/\s+/) ?? []
  return ports.some(port => gone.has(port)) ? withSettings(without, undefined, { BRIDGE_PORTS: ports.filter(port => !gone.has(port)).join(' ') }) : without
}
