/** Which interface name belongs to which MAC address: .link files and udev rules, and what else of the old adapters names no longer hold. Pure. */
import type { PlannedAdapter } from '../domain/replica.ts'

/** Binds the old name to the new address, of the physical adapter only (a VLAN or bond on it has the same address). */
export function linkFile({ mac, sourceName }: PlannedAdapter): string {
  return `# Made by the migration: the adapter keeps the name it had on the source.\n[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=${sourceName}\n`
}

/** Every whole MAC address of the source's adapters replaced by the replica's, in whichever case and with colons or dashes. */
export function replaceMacs(text: string, adapters: readonly PlannedAdapter[]): string {
  return text.replace(/(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])/g, (found, separator: string) => {
    const adapter = adapters.find(a => a.sourceMac === found.toLowerCase().replaceAll('-', ':'))
    return adapter === undefined ? found : adapter.mac.replaceAll(':', separator)
  })
}

/** 70-persistent-net.rules: rules of other adapters that claim a name that is kept go, rules for the replica's adapters come. Conditions on the old driver and slot would not hold. */
export function persistentRules(text: string, adapters: readonly PlannedAdapter[]): string {
  const names = new Set(adapters.map(a => a.sourceName))
  const macs = new Set(adapters.map(a => a.mac))
  const kept = text.split('\n').filter(line => {
    if (/^\s*#/.test(line) || !/\bNAME=/.test(line)) return !/^# landfall:/.test(line)
    const name = /\bNAME="?([^",]+)/.exec(line)?.[1] ?? ''
    const mac = /ATTRS?\{address\}=="?([^",]+)/.exec(line)?.[1]?.toLowerCase() ?? ''
    return !names.has(name) && !macs.has(mac)
  })
  const rules = adapters.flatMap(({ mac, sourceName }) => [
    `# landfall: ${sourceName} keeps its name`, `SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="${mac}", ATTR{type}=="1", NAME="${sourceName}"`,
  ])
  const body = kept.join('\n').replace(/\n+$/, '')
  return `${body}${body === '' ? '' : '\n'}${rules.join('\n')}\n`
}

const AUTO_START = /^(?:auto|allow-auto|allow-hotplug)$/
/** What a bond or bridge is made of: it waits for each of them. */
const MEMBERS = /^(?:bond[-_]slaves|slaves|bridge[-_]ports)$/

/** interfaces(5) without `auto` and `allow-hotplug` of adapters that are gone, and without them in bonds and bridges: waiting for one would be a failed unit. */
export function withoutAdapters(text: string, gone: ReadonlySet<string>): string {
  return text.split('\n').map(line => {
    const [keyword = '', ...names] = line.trim().split(/\s+/)
    if (!AUTO_START.test(keyword) && !MEMBERS.test(keyword)) return line
    const kept = names.filter(name => !gone.has(name))
    if (kept.length === names.length) return line
    if (MEMBERS.test(keyword)) return `${/^\s*/.exec(line)?.[0] ?? ''}${keyword} ${kept.length === 0 ? 'none' : kept.join(' ')}`
    return kept.length === 0 ? `# landfall: adapter not migrated: ${line}` : `${keyword} ${kept.join(' ')}`
  }).join('\n')
}
