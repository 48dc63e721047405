/** /etc/network/interfaces of ifupdown. Pure. */
import { addressesOf, gatewayOf, netmask, withPrefix, type NetworkSettings } from '../domain/network-settings.ts'

const STATIC = /^(?:address|netmask|broadcast|network|gateway|hostname|metric|accept_ra|autoconf|privext)$/
const STANZA = /^(?:iface|mapping|auto|allow-\S+|source|source-directory|rename|template|no-auto-down|no-scripts)$/

interface Stanza { name: string, family: string, method: string, head: string, options: readonly string[] }
type Part = string | Stanza

/** The interface whose stanza names this one as part of it. */
export function masterInInterfaces(text: string, name: string): string | undefined {
  for (const part of parse(text)) {
    if (typeof part === 'string') continue
    if (part.name === name) {
      const master = part.options.map(words).find(([key]) => key === 'bond-master')?.[1]
      if (master !== undefined) return master
    }
    const members = part.options.map(words).find(([key]) => key === 'bond-slaves' || key === 'slaves' || key === 'bridge_ports' || key === 'bridge-ports')
    if (members?.slice(1).includes(name) === true) return part.name
  }
  return undefined
}

export function hasInterface(text: string, name: string): boolean {
  return parse(text).some(part => typeof part !== 'string' && part.name === name)
}

/**
 * The first stanza of the interface gets the first chosen address and keeps all options that are no addresses (up, bond-mode, mtu ...); its other stanzas
 * of IPv4 and static ones of IPv6 go, one each for the further addresses come.
 */
export function readdressInterfaces(text: string, name: string, settings: NetworkSettings): string {
  const chosen = [...addressesOf(settings, 'inet'), ...addressesOf(settings, 'inet6')]
  const has6 = chosen.some(a => a.family === 'inet6')
  let first = true
  const out: string[] = []
  for (const part of parse(text)) {
    if (typeof part === 'string') {
      out.push(part)
    } else if (part.name !== name) {
      out.push(part.head, ...part.options)
    } else if (part.family === 'inet6' && part.method !== 'static' && part.method !== 'manual' && !has6) {
      out.push(part.head, ...part.options)
    } else if (first) {
      first = false
      out.push(...chosen.flatMap((address, i) => {
        const isFirstOfFamily = chosen.findIndex(a => a.family === address.family) === i
        const gateway = isFirstOfFamily ? gatewayOf(settings, address.family) : undefined
        return [
          `iface ${name} ${address.family} static`,
          ...(address.family === 'inet' ? [`    address ${address.address}`, `    netmask ${netmask(address.prefixLength)}`] : [`    address ${withPrefix(address)}`]),
          ...(gateway === undefined ? [] : [`    gateway ${gateway}`]),
          ...(i === 0 ? [...(settings.dns.length === 0 ? [] : [`    dns-nameservers ${settings.dns.join(' ')}`]), ...part.options.filter(o => isKept(o, settings))] : []),
          ...(i === 0 ? [] : ['']),
        ]
      }))
    }
  }
  return out.join('\n')
}

function isKept(option: string, settings: NetworkSettings): boolean {
  const [key = ''] = words(option)
  return !STATIC.test(key) && !(settings.dns.length > 0 && key === 'dns-nameservers') && !/\bip\s+(?:-6\s+)?(?:addr(?:ess)?|route)\s+(?:add|replace)\s+default\b/.test(option)
}

/** Stanzas of `iface` apart; all other lines as they are. A line that ends in a backslash goes on in the next. */
function parse(text: string): Part[] {
  const parts: Part[] = []
  let open: { name: string, family: string, method: string, head: string, options: string[] } | undefined
  for (const line of text.split('\n')) {
    const [keyword = '', name = '', family = '', method = ''] = words(line)
    if (keyword === 'iface') {
      open = { name, family, method, head: line, options: [] }
      parts.push(open)
    } else if (open !== undefined && !STANZA.test(keyword)) {
      open.options.push(line)
    } else {
      open = undefined
      parts.push(line)
    }
  }
  return parts
}

function words(line: string): string[] {
  const trimmed = line.trim()
  return trimmed === '' || trimmed.startsWith('#') ? [] : trimmed.split(/\s+/)
}
