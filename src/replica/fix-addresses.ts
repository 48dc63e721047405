/**
 * C19, C20: the adapters get the addresses, gateways and name servers that a person chose for the replica. Whichever stack configures the adapter is
 * edited in its own files; where the adapter is part of a bond or bridge, that has the addresses.
 */
import type { NetworkSettings } from '../domain/network-settings.ts'
import type { PlannedAdapter } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { fixUpFailed } from './fix-up.ts'
import { newAddresses, withHosts, withNameServers } from './name-files.ts'
import { allOf, asUtf8, findNetworkFiles, KEYFILES, RED_HAT, rewriteAll, SUSE, type NetworkFiles } from './network-files.ts'
import { masterInIfcfg, readdressRedHat, readdressSuse, routesSuse, withoutDefaultRoutes } from './network-ifcfg.ts'
import { hasInterface, masterInInterfaces, readdressInterfaces } from './network-interfaces.ts'
import { isKeyfileOf, isMasterKeyfile, masterInKeyfile, readdressKeyfile } from './network-keyfile.ts'
import { inNetplan, readdressNetplan } from './network-netplan.ts'
import { isNetworkOf, isNetworkOfOne, masterInNetwork, readdressNetwork } from './network-networkd.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { settingOf, withSettings } from './shell-settings.ts'

const KEYFILE_MODE = 0o600
/** A bond in a bridge is the deepest that is looked for. */
const MAX_LEVELS = 3

export const SET_ADDRESSES: FixUp = {
  id: 'C20', title: 'give the adapters the addresses that were chosen', required: true,
  fix: async ({ files, plan, options, workload }: AssembledReplica) => {
    const messages: string[] = []
    const chosen = plan.adapters.flatMap(adapter => {
      const settings = options.networks.find(m => m.sourceMac.toLowerCase() === adapter.sourceMac)?.settings
      return settings === undefined ? [] : [{ adapter, settings }]
    })
    for (const { adapter, settings } of chosen) messages.push(...await readdress(files, adapter, settings))
    if (chosen.length > 0) messages.push(...await fixNames(files, workload, chosen))
    return messages
  },
}

async function readdress(files: ReplicaFiles, adapter: PlannedAdapter, settings: NetworkSettings): Promise<readonly string[]> {
  const found = await findNetworkFiles(files)
  let name = adapter.sourceName
  let macs: readonly string[] = [adapter.mac, adapter.sourceMac]
  for (let level = 0; level < MAX_LEVELS; level++) {
    const master = await masterOf(files, found, name, macs)
    if (master === undefined) break
    name = master
    macs = [] // a bond has the address of its first adapter: the name counts
  }
  const messages = [
    ...await inIfcfg(files, found, name, macs, settings),
    ...await rewriteAll(files, found.keyfiles, asUtf8(text => isKeyfileOf(text, name, macs) || (macs.length === 0 && isMasterKeyfile(text, name)) ? readdressKeyfile(text, settings) : text), path => `${path}: the chosen addresses`),
    ...await rewriteAll(files, found.netplan, asUtf8(text => readdressNetplan(text, name, macs, settings)), path => `${path}: the chosen addresses of ${name}`),
    ...await rewriteAll(files, found.networkd, text => isNetworkOf(text, name, macs) && isNetworkOfOne(text) ? readdressNetwork(text, settings) : text, path => `${path}: the chosen addresses`),
    ...await rewriteAll(files, found.interfaces, text => hasInterface(text, name) ? readdressInterfaces(text, name, settings) : text, path => `${path}: the chosen addresses of ${name}`),
  ]
  if (messages.length > 0 || await isAsChosen(files, found, settings)) return messages
  if (await files.kind(KEYFILES) !== 'directory') throw fixUpFailed(`no configuration file of ${name} was found, so the addresses that were chosen for it cannot be set`)
  const profile = `[connection]\nid=${name}\ntype=ethernet\ninterface-name=${name}\n\n[ethernet]\nmac-address=${adapter.mac}\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n`
  await files.write(`${KEYFILES}/landfall-${name}.nmconnection`, readdressKeyfile(profile, settings), KEYFILE_MODE)
  return [`${KEYFILES}/landfall-${name}.nmconnection made: ${name} had no profile`]
}

/** When the fix-ups run again nothing is left to write. */
async function isAsChosen(files: ReplicaFiles, found: NetworkFiles, settings: NetworkSettings): Promise<boolean> {
  const [first] = settings.addresses
  for (const path of allOf(found)) if (first !== undefined && (await files.text(path) ?? '').includes(first.address)) return true
  return false
}

async function masterOf(files: ReplicaFiles, found: NetworkFiles, name: string, macs: readonly string[]): Promise<string | undefined> {
  const read = async (path: string): Promise<string> => await files.text(path) ?? ''
  for (const path of found.redHat) {
    const text = await read(path)
    const master = isIfcfgOf(text, path, name, macs) ? masterInIfcfg(text) : undefined
    if (master !== undefined) return master
  }
  for (const path of found.suse) {
    const text = await read(path)
    const members = [...text.matchAll(/^\s*(?:BONDING_SLAVE_?\d+|BRIDGE_PORTS|TEAM_PORT_DEVICE_\d+)=["']?([^"'\n]*)/gm)].flatMap(m => (m[1] ?? '').split(/\s+/))
    if (members.includes(name)) return path.slice(`${SUSE}/ifcfg-`.length)
  }
  for (const path of found.keyfiles) {
    const text = await read(path)
    const master = isKeyfileOf(text, name, macs) || (macs.length === 0 && isMasterKeyfile(text, name)) ? masterInKeyfile(text) : undefined
    if (master !== undefined) return master
  }
  for (const path of found.netplan) {
    const { master } = inNetplan(await read(path), name, macs)
    if (master !== undefined) return master
  }
  for (const path of found.networkd) {
    const text = await read(path)
    const master = isNetworkOf(text, name, macs) ? masterInNetwork(text) : undefined
    if (master !== undefined) return master
  }
  for (const path of found.interfaces) {
    const master = masterInInterfaces(await read(path), name)
    if (master !== undefined) return master
  }
  return undefined
}

function isIfcfgOf(text: string, path: string, name: string, macs: readonly string[]): boolean {
  const device = settingOf(text, 'DEVICE')
  if (device !== undefined && device !== '') return device === name
  return path.endsWith(`/ifcfg-${name}`) || macs.includes(settingOf(text, 'HWADDR')?.toLowerCase() ?? '-')
}

async function inIfcfg(files: ReplicaFiles, found: NetworkFiles, name: string, macs: readonly string[], settings: NetworkSettings): Promise<readonly string[]> {
  const done = (path: string): string => `${path}: the chosen addresses`
  const messages = [
    ...await rewriteAll(files, found.redHat, (text, path) => isIfcfgOf(text, path, name, macs) ? readdressRedHat(text, settings) : text, done),
    ...await rewriteAll(files, found.suse.filter(p => p === `${SUSE}/ifcfg-${name}`), text => readdressSuse(text, settings), done),
  ]
  for (const path of [...found.redHat, ...found.suse].filter(p => p.includes(`/ifcfg-${name}:`))) {
    // an alias is an address of its own; the name keeps the network scripts from reading it
    await files.rename(path, path.replace('/ifcfg-', '/landfall-removed.ifcfg-'))
    messages.push(`${path} is landfall-removed.ifcfg-${path.split('/ifcfg-').at(-1) ?? ''} now: it has other addresses`)
  }
  if (messages.length === 0) return messages
  const routes = [RED_HAT, SUSE].flatMap(folder => ['route-', 'route6-', 'ifroute-'].map(prefix => `${folder}/${prefix}${name}`))
  messages.push(...await rewriteAll(files, routes, withoutDefaultRoutes, path => `${path}: default routes of the source removed`))
  if (await files.kind(SUSE) === 'directory') {
    const text = await files.text(`${SUSE}/routes`) ?? ''
    const fixed = routesSuse(text, name, settings)
    if (fixed !== text) await files.write(`${SUSE}/routes`, fixed)
    if (settings.dns.length > 0) messages.push(...await rewriteAll(files, [`${SUSE}/config`], config => withSettings(config, undefined, { NETCONFIG_DNS_STATIC_SERVERS: settings.dns.join(' ') }), done))
  } else if (settings.gateways.length > 0) {
    // one here is for the whole server, and would win over the adapter's
    messages.push(...await rewriteAll(files, ['/etc/sysconfig/network'], config => withSettings(config, /^GATEWAY(?:DEV)?$/, {}), path => `${path}: the source's gateway removed`))
  }
  return messages
}

/** /etc/hosts names the old addresses; a resolv.conf that is a plain file has no other owner. */
async function fixNames(files: ReplicaFiles, workload: Workload, chosen: readonly { adapter: PlannedAdapter, settings: NetworkSettings }[]): Promise<readonly string[]> {
  const moved = newAddresses(workload, chosen)
  const messages = [...await rewriteAll(files, ['/etc/hosts'], text => withHosts(text, moved), path => `${path} names the new addresses`)]
  const dns = [...new Set(chosen.flatMap(c => c.settings.dns))]
  if (dns.length > 0 && await files.kind('/etc/resolv.conf', 'stay') === 'file') {
    messages.push(...await rewriteAll(files, ['/etc/resolv.conf'], text => withNameServers(text, dns), path => `${path} names the chosen name servers`))
  }
  return messages
}
