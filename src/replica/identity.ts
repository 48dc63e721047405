/**
 * C19, C24: the replica is the source. Its adapters have other MAC addresses but keep their names, so that firewall rules, sysctls and
 * applications that name them stay as they are: each name is bound to the new address (.link file, udev rule), and configuration that names the
 * old address names the new one. Host name, machine id and SSH host keys are not touched.
 */
import type { PlannedAdapter } from '../domain/replica.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { fixUpFailed } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'

/** Files in which a MAC address of the source means the adapter: path or folder, and which names in the folder. */
const MAC_PLACES: readonly (readonly [string, RegExp])[] = [
  ['/etc/network/interfaces', /^$/], ['/etc/network/interfaces.d', /^[A-Za-z0-9_.-]+$/], ['/etc/netplan', /[.]ya?ml$/],
  ['/etc/systemd/network', /[.](?:network|netdev|link)$/], ['/etc/udev/rules.d', /net.*[.]rules$/], ['/etc/NetworkManager/system-connections', /./],
]
const LINKS = '/etc/systemd/network'

export const KEEP_NETWORK_NAMES: FixUp = {
  id: 'C19', title: 'keep the names and settings of the network adapters', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const messages: string[] = []
    for (const path of await macFiles(files)) {
      const text = await files.text(path)
      if (text === undefined) continue
      const fixed = replaceMacs(text, plan.adapters)
      if (fixed === text) continue
      await files.write(path, fixed)
      messages.push(`${path} names the new MAC addresses`)
    }
    for (const adapter of plan.adapters) {
      if (!/^[A-Za-z0-9_.-]{1,15}$/.test(adapter.sourceName)) throw fixUpFailed(`network adapter "${adapter.sourceName}" has a name that cannot be kept`)
      await files.write(`${LINKS}/10-landfall-${adapter.sourceName}.link`, linkFile(adapter))
      messages.push(`${adapter.sourceName} is the adapter with the MAC address ${adapter.mac}`)
    }
    const kept = new Set(plan.adapters.map(a => a.sourceName))
    const discarded = workload.adapters.map(a => a.name).filter(name => !kept.has(name))
    if (discarded.length > 0) messages.push(...await forgetInterfaces(files, new Set(discarded)))
    return messages
  },
}

export const KEEP_MACHINE_IDENTITY: FixUp = {
  id: 'C24', title: 'check that the replica kept its identity', required: false,
  fix: async ({ files, workload }: AssembledReplica) => {
    const machineId = (await files.text('/etc/machine-id'))?.trim() ?? ''
    if (machineId !== workload.machineId) throw fixUpFailed(`the machine id of the replica is "${machineId}", that of the source "${workload.machineId}"`)
    return []
  },
}

/** Binds the old name to the new address, of the physical adapter only (a VLAN or bond on it has the same address). Pure. */
export function linkFile({ mac, sourceName }: PlannedAdapter): string {
  return `# Made by the migration: the adapter keeps the name it had on the source.\n[Match]\nMACAddress=${mac}\nType=ether\n\n[Link]\nName=${sourceName}\n`
}

/** Every whole MAC address of the source's adapters replaced by the replica's, in whichever case and with colons or dashes. Pure. */
export function replaceMacs(text: string, adapters: readonly PlannedAdapter[]): string {
  return text.replace(/(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])/g, (found, separator: string) => {
    const adapter = adapters.find(a => a.sourceMac === found.toLowerCase().replaceAll('-', ':'))
    return adapter === undefined ? found : adapter.mac.replaceAll(':', separator)
  })
}

/** interfaces(5) without `auto` and `allow-hotplug` of adapters that are gone: waiting for one would be a failed unit. Pure. */
export function withoutAutoStart(text: string, discarded: ReadonlySet<string>): string {
  return text.split('\n').map(line => {
    const [keyword, ...names] = line.trim().split(/\s+/)
    if (keyword !== 'auto' && keyword !== 'allow-auto' && keyword !== 'allow-hotplug') return line
    const kept = names.filter(name => !discarded.has(name))
    if (kept.length === names.length) return line
    return kept.length === 0 ? `# landfall: adapter not migrated: ${line}` : `${keyword} ${kept.join(' ')}`
  }).join('\n')
}

async function forgetInterfaces(files: ReplicaFiles, discarded: ReadonlySet<string>): Promise<readonly string[]> {
  const messages: string[] = []
  for (const path of (await macFiles(files)).filter(p => p.startsWith('/etc/network/'))) {
    const text = await files.text(path)
    const fixed = text === undefined ? undefined : withoutAutoStart(text, discarded)
    if (fixed === undefined || fixed === text) continue
    await files.write(path, fixed)
    messages.push(`${path} starts ${[...discarded].join(', ')} no more`)
  }
  return messages
}

async function macFiles(files: ReplicaFiles): Promise<readonly string[]> {
  const found: string[] = []
  for (const [place, names] of MAC_PLACES) {
    if (await files.kind(place) === 'file') found.push(place)
    else found.push(...(await files.names(place)).filter(name => names.test(name)).map(name => `${place}/${name}`))
  }
  return found
}
