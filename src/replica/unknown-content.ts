/** Devices of the source in which nothing is known that could be copied: raw ones of a database look so, and what is empty. Pure. */
import { NO_LAYERS, type LogicalVolume, type VolumeGroup } from '../domain/layer.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { Disk } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import { nameBelow, partitionName } from './ground.ts'

/** Types of partitions without files: extended ones, PReP, BIOS boot (the boot loader fills it), reserved by Microsoft. */
const WITHOUT_FILES = new Set(['05', '0f', '85', '41', '21686148-6449-6E6F-744E-656564454649', '9E1A2D38-C612-4316-AA26-8B49521E5A8B', 'E3C9E316-0B5C-4DB8-817D-F92DF00215AE'])

/** @param made whether the partitions of a disk are on the replica */
export function unknownContent(workload: Pick<Workload, 'disks' | 'volumes' | 'layers'>, made: (disk: Disk) => boolean): PlanDifference[] {
  const { disks, layers = NO_LAYERS } = workload
  return [
    ...layers.volumeGroups.flatMap(group => group.logicalVolumes.filter(v => !isPart(v, group) && !isKnown(workload, `${group.name}/${v.name}`)).map(v =>
      unknown(`${group.name}/${v.name}`, `Logical volume ${group.name}/${v.name} (${String(v.sizeBytes)} bytes) is not migrated`))),
    ...disks.flatMap(disk => disk.partitions.filter(p => !WITHOUT_FILES.has(p.type) && !isKnownPartition(workload, disk, p.number)).map(p =>
      unknown(partitionName(disk.name, p.number), `Partition ${partitionName(disk.name, p.number)} (${String(p.sizeBytes)} bytes) ${made(disk) ? 'stays empty' : 'is not migrated'}`))),
    ...disks.filter(d => d.table === 'none' && !isKnown(workload, d.name) && !workload.volumes.some(v => v.disk === d.name)).map(d => unknown(d.name, `Disk ${d.name} (${String(d.sizeBytes)} bytes) is not migrated`)),
  ]
}

function unknown(subject: string, what: string): PlanDifference {
  return { code: 'CONTENT_UNKNOWN', subject, message: `${what}: no file system was found on it.` }
}

/** A pool has no files but those of its volumes; in a thin pool without any, programs (Docker) may keep their own. */
function isPart({ name, segments }: LogicalVolume, { logicalVolumes }: VolumeGroup): boolean {
  const pool = segments.find(s => s.type.endsWith('-pool'))
  return pool !== undefined && (pool.type !== 'thin-pool' || logicalVolumes.some(v => v.pool === name))
}

function isKnownPartition(workload: Pick<Workload, 'volumes' | 'layers'>, { name }: Disk, number: number): boolean {
  return workload.volumes.some(v => v.disk === name && v.partition === number)
    || [partitionName(name, number), `${name}-part${String(number)}`, `${name}p${String(number)}`].some(node => isKnown(workload, node)) // the nodes of multipath maps
}

/** Whether a volume of the source lies on it, or a volume group, whose logical volumes are told one by one; of an array the first member tells. */
function isKnown(workload: Pick<Workload, 'volumes' | 'layers'>, name: string, seen = new Set<string>()): boolean {
  const { volumes, layers: { volumeGroups, arrays, encryptions } = NO_LAYERS } = workload
  if (seen.has(name)) return false
  seen.add(name)
  const above = (upper: string): boolean => isKnown(workload, upper, seen)
  return volumes.some(v => nameBelow(v) === name) || volumeGroups.some(g => g.physicalVolumes.some(p => p.on === name))
    || encryptions.some(e => e.on === name && above(e.name)) || arrays.some(a => a.members.includes(name) && (a.members[0] !== name || above(a.name)))
}
