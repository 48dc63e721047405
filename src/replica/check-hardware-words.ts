/** C14: what the kernel command line says of processors and memory of the source, told where the replica has less of them. Nothing is removed: it boots with it. */
import type { AssembledReplica, FixUp } from './fix-up.ts'

interface Hardware { cores: number, memoryBytes: number }

const MIB = 1 << 20

export const CHECK_HARDWARE_WORDS: FixUp = {
  id: 'C14h', title: 'look at what the kernel command line says of the old hardware', required: false,
  fix: async ({ plan, workload: { boot, cpu, memoryBytes } }: AssembledReplica) =>
    Promise.resolve(hardwareWords(boot.commandLine, { cores: cpu.sockets * cpu.coresPerSocket, memoryBytes }, { cores: plan.sockets * plan.coresPerSocket, memoryBytes: plan.memoryMiB * MIB })),
}

/** One sentence for each word that means something else on the replica. Pure. */
export function hardwareWords(commandLine: string, source: Hardware, replica: Hardware): readonly string[] {
  return commandLine.split(/\s+/).flatMap(word => {
    const [, key = '', value = ''] = /^([\w.-]+)(?:=(.*))?$/.exec(word) ?? []
    switch (key) {
      // "auto" and ranges of memory are worked out at each boot
      case 'crashkernel': return replica.memoryBytes < source.memoryBytes && /^\d+[KMG]?(?:[@,]|$)/i.test(value) ? [`${word} reserves as much as on the source, of less memory: make it smaller or remove it`] : []
      case 'hugepages': return replica.memoryBytes < source.memoryBytes ? [`${word} takes as much as on the source, of less memory: make it smaller`] : []
      case 'isolcpus': case 'nohz_full': case 'rcu_nocbs': return lastProcessor(value) >= replica.cores ? [`${word} names processors that the replica with its ${String(replica.cores)} does not have`] : []
      case 'intel_iommu': case 'amd_iommu': return value.startsWith('on') ? [`${word}: the replica has no such unit, and passes no devices on`] : []
      default: return []
    }
  })
}

/** The highest number in a list of processors; flags before them ("domain,managed_irq,2-7") and steps ("0-7:1/2") do not count. */
function lastProcessor(list: string): number {
  return Math.max(-1, ...list.split(',').flatMap(part => /^(?:\d+-)?(\d+)(?::|$)/.exec(part)?.[1] ?? []).map(Number))
}
