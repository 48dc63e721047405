/** C04, C05: the kernels that the replica can boot, read from its own tree, because the source may have been updated since it was described. */
import type { AssembledReplica, FixUp } from './fix-up.ts'
import { fixUpFailed } from './fix-up.ts'
import type { ReplicaFiles } from './replica-files.ts'
import { driverOf, REPLICA_DRIVERS } from './virtual-hardware.ts'

export interface ReplicaKernel {
  version: string
  /** drivers for virtual hardware that are loadable modules of it */
  modules: readonly string[]
  /** drivers for virtual hardware that are part of it */
  builtIn: readonly string[]
}

/** Kernels of rescue systems and crash dumps are never the default. */
const NOT_BOOTED = /rescue|kdump/

/** In the order of their names. */
export async function replicaKernels(files: ReplicaFiles): Promise<readonly ReplicaKernel[]> {
  const kernels: ReplicaKernel[] = []
  for (const name of await files.names('/boot')) {
    const version = /^vmlinuz-([A-Za-z0-9][A-Za-z0-9._+~-]*)$/.exec(name)?.[1]
    if (version === undefined || NOT_BOOTED.test(version)) continue
    const names = async (file: string): Promise<readonly string[]> => {
      const all = moduleNames(await files.text(`/lib/modules/${version}/${file}`) ?? '')
      return REPLICA_DRIVERS.filter(d => all.has(d))
    }
    kernels.push({ version, modules: await names('modules.dep'), builtIn: await names('modules.builtin') })
  }
  return kernels
}

/** Module names at the start of each line of modules.dep or modules.builtin. Pure. */
export function moduleNames(text: string): ReadonlySet<string> {
  return new Set(text.split('\n').map(line => (line.split(':', 1)[0] ?? '').split('/').at(-1)?.replace(/[.]ko(?:[.](?:gz|xz|zst))?$/, '').replaceAll('-', '_') ?? ''))
}

export const CHECK_KERNELS: FixUp = {
  id: 'C05', title: 'check that every kernel drives the virtual hardware', required: true,
  fix: async ({ files, plan }: AssembledReplica) => {
    const kernels = await replicaKernels(files)
    if (kernels.length === 0) throw fixUpFailed('the replica has no kernel in /boot')
    const wanted = [driverOf(plan.controller), ...plan.adapters.map(a => driverOf(a.type))]
    for (const { version, modules, builtIn } of kernels) {
      const missing = [...new Set(wanted)].filter(d => !modules.includes(d) && !builtIn.includes(d))
      if (missing.length > 0) throw fixUpFailed(`kernel ${version} of the replica has no driver ${missing.join(', ')}, which its virtual hardware needs`)
    }
    return []
  },
}
