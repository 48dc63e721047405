/** C19: interfaces that the configuration of the network expects and that are neither adapters of the replica nor made by it. Told, because it may have been so on the source. */
import { isVirtual, namesInIfcfg, namesInInterfaces, namesInKeyfile, namesInNetplan, namesInNetworkd, type NamedInterfaces } from './adapter-names.ts'
import { fixUpFailed, type FixUp } from './fix-up.ts'
import { findNetworkFiles, NETWORKD } from './network-files.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

export const CHECK_ADAPTER_NAMES: FixUp = {
  id: 'C19n', title: 'look for network adapters that the replica does not have', required: false,
  fix: async ({ files, plan }) => {
    const named = await namesOf(files)
    const known = new Set([...plan.adapters.map(a => a.sourceName), ...named.flatMap(n => n.made)])
    const missing = named.flatMap(({ path, expected }) => [...new Set(expected)].filter(name => !known.has(name) && !isVirtual(name)).map(name => `${path}: ${name}`))
    if (missing.length > 0) throw fixUpFailed(`names of adapters that the replica does not have: ${missing.join(', ')}`)
    return []
  },
}

async function namesOf(files: ReplicaFiles): Promise<readonly (NamedInterfaces & { path: ReplicaPath })[]> {
  const { redHat, suse, keyfiles, netplan, networkd, interfaces } = await findNetworkFiles(files)
  const netdevs = (await files.names(NETWORKD)).filter(name => name.endsWith('.netdev')).map(name => `${NETWORKD}/${name}`)
  const found: (NamedInterfaces & { path: ReplicaPath })[] = []
  const read = async (paths: readonly ReplicaPath[], names: (text: string, path: ReplicaPath) => NamedInterfaces): Promise<void> => {
    for (const path of paths) found.push({ path, ...names(await files.text(path) ?? '', path) })
  }
  await read([...redHat, ...suse], (text, path) => namesInIfcfg(text, path.split('/ifcfg-').at(-1) ?? ''))
  await read(keyfiles, namesInKeyfile)
  await read(netplan, namesInNetplan)
  await read([...networkd, ...netdevs], namesInNetworkd)
  await read(interfaces, namesInInterfaces)
  return found
}
