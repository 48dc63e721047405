/** What a volume or a physical volume of the source stands on once the layers that the replica does without are taken away. Pure. */
import { NO_LAYERS, type DiskArray, type Encryption, type LogicalVolume, type VolumeGroup } from '../domain/layer.ts'
import type { Disk, Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'

/** What was in between: an array is always taken away, encryption as the user chooses. */
export interface Between { arrays: readonly DiskArray[], encryptions: readonly Encryption[] }

export type Ground =
  | { kind: 'place', disk: Disk, partition: number, between: Between }
  | { kind: 'logical', group: VolumeGroup, logical: LogicalVolume, between: Between }
  | { kind: 'unknown', reason: string }

const MAX_DEPTH = 16

/** @param name of a device, see domain/layer.ts */
export function groundOf({ disks, layers = NO_LAYERS }: Pick<Workload, 'disks' | 'layers'>, name: string): Ground {
  const arrays: DiskArray[] = []
  const encryptions: Encryption[] = []
  let at = name
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const array = layers.arrays.find(a => a.name === at)
    const encryption = layers.encryptions.find(e => e.name === at)
    if (array !== undefined) {
      arrays.push(array)
      at = array.members[0] ?? ''
    } else if (encryption !== undefined) {
      encryptions.push(encryption)
      at = encryption.on
    } else break
  }
  const between = { arrays, encryptions }
  const place = placeOf(disks, at)
  if (place !== undefined) return { kind: 'place', ...place, between }
  for (const group of layers.volumeGroups) {
    const logical = group.logicalVolumes.find(v => `${group.name}/${v.name}` === at)
    if (logical !== undefined) return { kind: 'logical', group, logical, between }
  }
  return { kind: 'unknown', reason: at === '' ? 'what it lies on is not known' : `it lies on ${at}, which is not known` }
}

/** The name of what a volume lies on. */
export function nameBelow({ on, disk, partition }: Pick<Volume, 'on' | 'disk' | 'partition'>): string {
  return on ?? partitionName(disk, partition)
}

/** sda2, nvme0n1p3; the disk for 0. */
export function partitionName(disk: string, partition: number): string {
  return partition === 0 ? disk : `${disk}${/\d$/.test(disk) ? 'p' : ''}${String(partition)}`
}

function placeOf(disks: readonly Disk[], name: string): { disk: Disk, partition: number } | undefined {
  for (const disk of disks) {
    if (disk.name === name) return disk.table === 'none' ? { disk, partition: 0 } : undefined
    const partition = disk.partitions.find(p => [partitionName(disk.name, p.number), `${disk.name}-part${String(p.number)}`, `${disk.name}p${String(p.number)}`].includes(name))
    if (partition !== undefined) return { disk, partition: partition.number }
  }
  return undefined
}
