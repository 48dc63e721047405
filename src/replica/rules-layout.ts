/** What must hold of the layout that was asked for. Part of the table of `rules.ts`. */
import { SOURCE_LAYOUT } from '../domain/layout-options.ts'
import type { PlannedVolume } from '../domain/replica.ts'
import { when, type Problem, type Rule, type RuleInput } from './rule.ts'

const MIB = 1 << 20
const GIB = 2 ** 30
const MARGIN_BYTES = 5 * GIB
const MARGIN_PART = 0.1
/** What a file system keeps for itself: journal, inode tables, reserve. */
const OVERHEAD_PART = 0.05

export const LAYOUT_RULES: readonly Rule[] = [
  { code: 'SIZE_UNUSED', severity: 'error', title: 'every size that was asked for is used', advice: 'Correct the name (volumes are named by their mount points), or choose a disk per volume.', check: ({ options, plan }) => {
    const { sizes, groups, disks } = options.layout ?? SOURCE_LAYOUT
    return [
      ...sizes.filter(s => !plan.volumes.some(v => [v.volume.name, v.volume.mountPoint].includes(s.volume))).map(s => ({ subject: s.volume, message: `a size is given for ${s.volume}, which is no volume of the job` })),
      ...groups.filter(g => plan.volumeGroups?.some(p => p.name === g.name) !== true).map(g => ({ subject: g.name, message: `a size is given for ${g.name}, which is no volume group of the job` })),
      ...groups.filter(g => disks === 'matching' && g.maxPhysicalVolumeBytes !== undefined).map(g => ({ subject: g.name, message: `a largest physical volume is given for ${g.name}, but with disks as on the source its physical volumes are those of the source` })),
    ]
  } },
  { code: 'VOLUME_TOO_SMALL', severity: 'error', title: 'every volume takes what is used on the source', advice: 'Choose a larger size for the volume.', check: ({ plan, workload }) => resized({ plan, workload }).flatMap(({ volume }) => {
    const need = Math.ceil(volume.fileSystem.usedBytes * (1 + OVERHEAD_PART))
    return when(volume.fileSystem.type !== 'swap' && volume.sizeBytes < need, volume.name, `${volume.name} is to have ${mib(volume.sizeBytes)}, what is used on the source needs ${mib(need)}`)
  }) },
  { code: 'EXT_TOO_LARGE', severity: 'error', title: 'no ext file system becomes larger than its features allow', advice: 'Choose a smaller size for the volume.', check: ({ plan }) => plan.volumes.flatMap(({ volume: { name, fileSystem } }) =>
    when(fileSystem.type.startsWith('ext') && !fileSystem.features.includes('64bit') && Number(fileSystem.properties['blockCount'] ?? 0) >= 2 ** 32, name, `the file system of ${name} is made without 64bit, as on the source, and cannot have so many blocks`)) },
  { code: 'GROUP_TOO_SMALL', severity: 'error', title: 'every volume group takes its logical volumes', advice: 'Choose a larger size for the volume group, or leave its size out.', check: ({ options, plan }) => (options.layout ?? SOURCE_LAYOUT).groups.flatMap(({ name, sizeBytes }): readonly Problem[] => {
    const group = plan.volumeGroups?.find(g => g.name === name)
    if (group === undefined || sizeBytes === undefined) return []
    const need = group.logicalVolumes.reduce((sum, v) => sum + v.extents, 0) * group.extentSizeBytes
    return when(sizeBytes < need, name, `${name} is to have ${mib(sizeBytes)}, its logical volumes need ${mib(need)}`)
  }) },
  { code: 'VOLUME_MARGIN', severity: 'warning', title: 'every volume has a margin of free space', advice: 'Free space on the source, or choose a larger size for the volume.', check: ({ plan }) => plan.volumes.flatMap(({ volume: v }) => {
    const free = v.sizeBytes - v.fileSystem.usedBytes
    return when(v.fileSystem.type !== 'swap' && free < Math.min(MARGIN_BYTES, v.sizeBytes * MARGIN_PART), v.name, `${v.name} has only ${mib(free)} free of ${mib(v.sizeBytes)}`)
  }) },
]

/** What is as large as on the source has room for what is used there. */
function resized({ plan, workload }: Pick<RuleInput, 'plan' | 'workload'>): readonly PlannedVolume[] {
  return plan.volumes.filter(p => workload.volumes.some(v => v.name === p.volume.name && v.sizeBytes !== p.volume.sizeBytes))
}

function mib(bytes: number): string {
  return `${String(Math.floor(bytes / MIB))} MiB`
}
