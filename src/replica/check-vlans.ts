/** C19: VLANs of the source, which no fix-up changes: each is told with what a person has to see to. */
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { fixUpFailed } from './fix-up.ts'
import { findNetworkFiles } from './network-files.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { vlanInIfcfg, vlanInKeyfile, vlansInInterfaces, vlansInNetplan, vlansInNetwork, type Vlan } from './stacked-adapters.ts'

export const CHECK_VLANS: FixUp = {
  id: 'C19v', title: 'look for VLANs, which need a trunk', required: false,
  fix: async ({ files, plan, workload, options }: AssembledReplica) => {
    const kept = new Set(plan.adapters.map(a => a.sourceName))
    const gone = new Set(workload.adapters.map(a => a.name).filter(name => !kept.has(name)))
    const readdressed = plan.adapters.some(a => options.networks.some(m => m.sourceMac.toLowerCase() === a.sourceMac && m.settings !== undefined))
    const told = (await vlansOf(files)).map(({ name, on }) => {
      if (gone.has(on)) return `${name} lies on ${on}, which is not migrated: it cannot come up`
      const addresses = readdressed ? '; it keeps the addresses of the source, because chosen ones are for adapters: change them by hand' : ''
      return `${name} on ${on} has a link only when the port group of its adapter is a trunk (VLAN 4095)${addresses}`
    })
    if (told.length > 0) throw fixUpFailed(`VLANs are copied as they are and not handled: ${told.join('; ')}`)
    return []
  },
}

async function vlansOf(files: ReplicaFiles): Promise<readonly Vlan[]> {
  const { redHat, suse, keyfiles, netplan, networkd, interfaces } = await findNetworkFiles(files)
  const found = new Map<string, Vlan>()
  const read = async (paths: readonly string[], vlans: (text: string, path: string) => readonly Vlan[]): Promise<void> => {
    for (const path of paths) for (const vlan of vlans(await files.text(path) ?? '', path)) found.set(vlan.name, vlan)
  }
  await read([...redHat, ...suse], (text, path) => vlanInIfcfg(text, path.split('/ifcfg-').at(-1) ?? ''))
  await read(keyfiles, vlanInKeyfile)
  await read(netplan, vlansInNetplan)
  await read(networkd, vlansInNetwork)
  await read(interfaces, vlansInInterfaces)
  return [...found.values()]
}
