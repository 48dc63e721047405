/** C25, C27: what the replica should have for VMware, reported; nothing is installed, because a cutover needs no network. */
import type { AssembledReplica, FixUp } from './fix-up.ts'

export const REPORT_TOOLS: FixUp = {
  id: 'C27', title: 'look for VMware tools', required: false,
  fix: async ({ files }: AssembledReplica) =>
    await files.kind('/usr/bin/vmtoolsd') === 'file' ? [] : ['open-vm-tools is not installed: install it after the cutover, so that vSphere sees the state of the server'],
}

export const REPORT_CLOCK: FixUp = {
  id: 'C25', title: 'look at the hardware clock', required: false,
  fix: async ({ files }: AssembledReplica) =>
    (await files.text('/etc/adjtime'))?.split('\n')[2]?.trim() === 'LOCAL' ? ['the hardware clock of the source runs in local time; the virtual one runs in UTC until it is set by the first time synchronisation'] : [],
}
