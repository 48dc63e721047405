/** Sentences about what a volume loses between itself and its disk. Pure. */
import type { Encryption } from '../domain/layer.ts'
import type { LayoutOptions } from '../domain/layout-options.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { FileSystem, Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import type { Between } from './ground.ts'

/** The encryption that is made anew. What is no LUKS (swap with a new key at each start) has nothing that could be kept: its crypttab makes it again. */
export function keptEncryption({ encryptions: [first] }: Between, { encryption }: LayoutOptions): Encryption | undefined {
  return encryption === 're-encrypt' && first?.type.startsWith('LUKS') === true ? first : undefined
}

/** @param what lies on it */
export function betweenDifferences(what: string, between: Between, options: LayoutOptions): PlanDifference[] {
  const { arrays, encryptions } = between
  const kept = keptEncryption(between, options)
  return [
    ...arrays.map((a): PlanDifference => ({ code: 'ARRAY_REMOVED', subject: a.name, message: `Software RAID ${a.name} (${a.level} of ${a.members.join(', ')}) below ${what} becomes plain: its content lies where ${a.members[0] ?? ''} was.` })),
    ...encryptions.map((e): PlanDifference => (e === kept
      ? { code: 'RE_ENCRYPTED', subject: e.name, message: `The encryption ${e.name} (${e.type}, ${e.cipher}) of ${what} is made anew with the same UUID and a new passphrase.` }
      : { code: 'DECRYPTED', subject: e.name, message: `${what} arrives decrypted: ${e.name} (${e.type} ${e.uuid}) is not on the replica.` })),
  ]
}

export function resizeDifference({ name, sizeBytes }: Volume, newBytes: number): PlanDifference {
  return { code: 'VOLUME_SIZE', subject: name, message: `Volume ${name} has ${String(newBytes)} bytes instead of ${String(sizeBytes)}.` }
}

/** What a file system loses when it is made anew. @param made as it will be */
export function remadeDifferences({ name, fileSystem: source }: Volume, made: FileSystem): PlanDifference[] {
  const told = (code: PlanDifference['code'], message: string): PlanDifference[] => [{ code, subject: name, message }]
  const value = (key: string): string => source.properties[key] ?? '0'
  switch (source.type) {
    case 'xfs': return Number(value('sunit')) > 0 ? told('XFS_STRIPE_DROPPED', `The XFS of ${name} is not aligned to the stripes of the source's disks (sunit ${value('sunit')}).`) : []
    case 'ext2': case 'ext3': case 'ext4': {
      const aligned = Number(value('raidStride')) > 0 || Number(value('raidStripeWidth')) > 0
      return aligned ? told('EXT_STRIPE_DROPPED', `The ${source.typeName} of ${name} is not aligned to the stripes of the source's disks (stride ${value('raidStride')}, stripe width ${value('raidStripeWidth')}).`) : []
    }
    case 'vfat': return made.properties['fatBits'] === source.properties['fatBits'] ? [] : told('FAT_BITS', `The FAT of ${name} has ${made.properties['fatBits'] ?? '?'} bits instead of ${value('fatBits')}.`)
    case 'btrfs': case 'swap': case 'unsupported': return []
  }
}

/** Disks that have another kind on the source. @param names of the disks that the replica has */
export function diskDifferences({ layers }: Workload, names: ReadonlySet<string>): PlanDifference[] {
  return (layers?.multipaths ?? []).filter(m => names.has(m.name)).map(m => ({
    code: 'MULTIPATH_REMOVED', subject: m.name, message: `The multipath device ${m.name} (${m.wwid}; ${m.paths.join(', ')}) becomes a plain disk: its names are gone.`,
  }))
}
