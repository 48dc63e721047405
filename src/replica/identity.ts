/**
 * C19, C24: the replica is the source. Its adapters have other MAC addresses but keep their names, so that firewall rules, sysctls and
 * applications that name them stay as they are: each name is bound to the new address (.link file, udev rule), and configuration that names the
 * old address names the new one. Host name, machine id and SSH host keys are not touched.
 */
import type { PlannedAdapter } from '../domain/replica.ts'
import { needsForgedTransmits, withOwnAddresses, withoutLacp } from './bonds.ts'
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { fixUpFailed } from './fix-up.ts'
import { allOf, asUtf8, findNetworkFiles, NETWORKD, PERSISTENT_RULES, RED_HAT, rewriteAll, SUSE, UDEV_RULES, type NetworkFiles } from './network-files.ts'
import { switchedOff, withoutMembers } from './network-ifcfg.ts'
import { foreignClone, withoutOwnClones } from './network-cloned-macs.ts'
import { isKeyfileOf, keyfileSwitchedOff } from './network-keyfile.ts'
import { linkFile, persistentRules, replaceMacs, withoutAdapters } from './network-names.ts'
import { bindNetplan, withoutNetplan } from './network-netplan.ts'
import { isNetworkOf, isNetworkOfOne } from './network-networkd.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'
import { settingOf, withSettings } from './shell-settings.ts'

/** Files besides those of the stacks in which a MAC address of the source means the adapter: folder, and which names in it. */
const MAC_PLACES: readonly (readonly [ReplicaPath, RegExp])[] = [
  [NETWORKD, /[.](?:netdev|link)$/], [UDEV_RULES, /net.*[.]rules$/], [RED_HAT, /^(?:route|rule)6?-/], [SUSE, /^if(?:route|rule)-/],
]
/** Files of bonds besides those of the stacks. */
const BOND_PLACES: readonly (readonly [ReplicaPath, RegExp])[] = [['/etc/modprobe.d', /[.]conf$/], ['/etc', /^modprobe[.]conf$/], [NETWORKD, /[.]netdev$/], ['/etc/teamd', /[.]conf$/]]
/** Writes a rule for every adapter that it has not seen, with the next free name. */
const GENERATORS = ['75-persistent-net-generator.rules']

export const KEEP_NETWORK_NAMES: FixUp = {
  id: 'C19', title: 'keep the names and settings of the network adapters', required: true,
  fix: async ({ files, plan, workload }: AssembledReplica) => {
    const { adapters } = plan
    const bad = adapters.find(a => !/^[A-Za-z0-9_.-]{1,15}$/.test(a.sourceName))
    if (bad !== undefined) throw fixUpFailed(`network adapter "${bad.sourceName}" has a name that cannot be kept`)
    const found = await findNetworkFiles(files)
    const stacks = allOf(found)
    const messages = [...await rewriteAll(files, [...stacks, ...await among(files, MAC_PLACES)], text => replaceMacs(text, adapters), path => `${path} names the new MAC addresses`)]
    const bonds = [...stacks, ...await among(files, BOND_PLACES)]
    messages.push(...await rewriteAll(files, bonds, withoutLacp, path => `${path}: the bond or team is active-backup now, a port group passes no LACP`))
    messages.push(...await rewriteAll(files, bonds, withOwnAddresses, path => `${path}: the bond or team uses the MAC addresses of its adapters, a port group may pass no other`))
    for (const path of bonds) {
      const mode = needsForgedTransmits(await files.text(path) ?? '')
      if (mode !== undefined) messages.push(`${path}: the bond or team keeps its mode ${mode}, for which the port group must accept MAC address changes and forged transmits`)
    }
    messages.push(...await forgetClones(files, stacks, new Set(adapters.map(a => a.mac))))
    for (const { sourceName, mac } of adapters) {
      messages.push(...await rewriteAll(files, found.netplan, asUtf8(text => bindNetplan(text, sourceName, mac)), path => `${path} knows ${sourceName} by its MAC address alone`))
    }
    messages.push(...await bindNames(files, adapters, found))
    const kept = new Set(adapters.map(a => a.sourceName))
    const gone = workload.adapters.filter(a => !kept.has(a.name)).map(a => ({ name: a.name, macs: [a.macAddress] }))
    if (gone.length > 0) messages.push(...await forgetAdapters(files, found, gone))
    return messages
  },
}

export const KEEP_MACHINE_IDENTITY: FixUp = {
  id: 'C24', title: 'check that the replica kept its identity', required: false,
  fix: async ({ files, workload }: AssembledReplica) => {
    const machineId = (await files.text('/etc/machine-id') ?? await files.text('/var/lib/dbus/machine-id'))?.trim() ?? ''
    if (machineId !== workload.machineId) throw fixUpFailed(`the machine id of the replica is "${machineId}", that of the source "${workload.machineId}"`)
    return []
  },
}

/** A port group may drop what is sent under another address than the adapter's own. */
async function forgetClones(files: ReplicaFiles, stacks: readonly ReplicaPath[], own: ReadonlySet<string>): Promise<readonly string[]> {
  const messages = [...await rewriteAll(files, stacks, text => withoutOwnClones(text, own), path => `${path} sets no MAC address any more: it was the adapter's own`)]
  for (const path of stacks) {
    const mac = foreignClone(await files.text(path) ?? '', own)
    if (mac !== undefined) messages.push(`${path} sets the MAC address ${mac}, for which the port group must accept MAC address changes and forged transmits`)
  }
  return messages
}

/** .link files where systemd's udev reads them, udev rules where it does not or where there are some, HWADDR where nothing else names adapters. */
async function bindNames(files: ReplicaFiles, adapters: readonly PlannedAdapter[], found: NetworkFiles): Promise<readonly string[]> {
  const links = await files.kind('/lib/systemd/network/99-default.link') !== undefined || await files.kind('/usr/lib/systemd/network/99-default.link') !== undefined
  const rules = await files.text(PERSISTENT_RULES)
  const udev = await files.kind('/lib/udev/rules.d') === 'directory' || await files.kind('/etc/udev/rules.d') === 'directory'
  const messages: string[] = []
  if (links) for (const adapter of adapters) await files.write(`${NETWORKD}/10-landfall-${adapter.sourceName}.link`, linkFile(adapter))
  if (rules !== undefined || (!links && udev)) {
    const fixed = persistentRules(rules ?? '', adapters)
    if (fixed !== rules) await files.write(PERSISTENT_RULES, fixed)
  }
  for (const name of GENERATORS) {
    if (await files.kind(`/lib/udev/rules.d/${name}`) === undefined || await files.kind(`${UDEV_RULES}/${name}`, 'stay') !== undefined) continue
    await files.link(`${UDEV_RULES}/${name}`, '/dev/null')
    messages.push(`${name} is masked: no name is given away by chance`)
  }
  for (const { sourceName, mac } of adapters) {
    messages.push(...await rewriteAll(files, found.redHat, (text, path) => {
      const own = (settingOf(text, 'DEVICE') ?? path.slice(path.lastIndexOf('/ifcfg-') + '/ifcfg-'.length)) === sourceName
      return own && settingOf(text, 'VLAN') !== 'yes' ? withSettings(text, undefined, { HWADDR: mac }) : text
    }, path => `${path} is for the MAC address ${mac}`))
    messages.push(`${sourceName} is the adapter with the MAC address ${mac}`)
  }
  // SLES 10 and 11 may name the file after the old address: another name would be waited for
  for (const path of found.suse) {
    const adapter = adapters.find(a => path.toLowerCase() === `${SUSE}/ifcfg-eth-id-${a.sourceMac}`)
    if (adapter === undefined || await files.kind(`${SUSE}/ifcfg-${adapter.sourceName}`) !== undefined) continue
    await files.rename(path, `${SUSE}/ifcfg-${adapter.sourceName}`)
    messages.push(`${path} is ifcfg-${adapter.sourceName} now`)
  }
  return messages
}

/** Adapters that are not migrated: nothing starts them or waits for them. */
async function forgetAdapters(files: ReplicaFiles, found: NetworkFiles, gone: readonly { name: string, macs: readonly string[] }[]): Promise<readonly string[]> {
  const names = new Set(gone.map(g => g.name))
  const messages = [
    ...await rewriteAll(files, found.interfaces, text => withoutAdapters(text, names), path => `${path} starts ${[...names].join(', ')} no more`),
    ...await rewriteAll(files, found.suse, text => withoutMembers(text, names), path => `${path} is made of others than ${[...names].join(', ')}`),
  ]
  for (const { name, macs } of gone) {
    const off = (path: ReplicaPath): string => `${path}: ${name} is not migrated and not started`
    messages.push(...await rewriteAll(files, found.redHat.filter(p => p === `${RED_HAT}/ifcfg-${name}` || p.startsWith(`${RED_HAT}/ifcfg-${name}:`)), text => switchedOff(text, 'rhel'), off))
    messages.push(...await rewriteAll(files, found.suse.filter(p => p === `${SUSE}/ifcfg-${name}` || macs.some(mac => p.toLowerCase() === `${SUSE}/ifcfg-eth-id-${mac}`)), text => switchedOff(text, 'suse'), off))
    messages.push(...await rewriteAll(files, found.keyfiles, text => isKeyfileOf(text, name, macs) ? keyfileSwitchedOff(text) : text, off))
    messages.push(...await rewriteAll(files, found.netplan, asUtf8(text => withoutNetplan(text, name, macs)), off))
    for (const path of found.networkd) {
      const text = await files.text(path) ?? ''
      if (!isNetworkOf(text, name, macs) || !isNetworkOfOne(text)) continue
      await files.rename(path, `${path}.landfall-not-migrated`)
      messages.push(off(path))
    }
  }
  return messages
}

async function among(files: ReplicaFiles, places: readonly (readonly [ReplicaPath, RegExp])[]): Promise<readonly ReplicaPath[]> {
  const found: ReplicaPath[] = []
  for (const [folder, names] of places) found.push(...(await files.names(folder)).filter(name => names.test(name)).map(name => `${folder}/${name}`))
  return found
}

