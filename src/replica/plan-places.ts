/** Disks and partitions for everything that needs a place: as on the source, with other sizes where they were asked for. Pure. */
import type { PlannedDisk } from '../domain/replica.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { Disk, Partition } from '../domain/volume.ts'
import { partitionName } from './ground.ts'

/** Something that lies on a partition or a whole disk. */
export interface Need {
  /** its own among all needs */
  key: string
  /** for people, and the disk's with a disk per volume */
  name: string
  /** where it lies on the source */
  disk: Disk
  partition: number
  sizeBytes: number
  /** what it is, when the partition's type must say another thing than on the source: an array or a container is gone */
  retype?: 'swap' | 'esp' | 'lvm' | 'linux' | undefined
}

/** Where it came to lie: index of the disk, number of the partition (0: the disk itself), size of that. */
export interface Place { disk: number, partition: number, sizeBytes: number }

export const MIB = 1 << 20
/** The backup GPT behind the last partition: its header and 32 sectors of entries. */
export const GPT_END_BYTES = 33 * 512
/** Partitions never start before this: the space is what GRUB's core image needs (cutover.md 2). */
const FIRST_START_BYTES = MIB
/** MBR types of partitions that hold logical ones */
const EXTENDED = new Set(['05', '0f', '85'])

const TYPES = {
  gpt: { swap: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F', esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', lvm: 'E6D6D379-F507-44C2-A23C-238F2A3DF928', linux: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' },
  dos: { swap: '82', esp: 'ef', lvm: '8e', linux: '83' },
} as const
/** Types that say what is gone: software RAID, LUKS. Any other one is kept. */
const GONE = new Set(['fd', 'A19D880F-05FC-4D3B-A006-743F0F84911E', 'CA7D7CCB-63ED-4C53-861C-1742536059CC'])

/** The partition's type on the replica. */
export function typeFor({ table }: Pick<Disk, 'table'>, { type }: Partition, retype: Need['retype']): string {
  return retype === undefined || table === 'none' || !GONE.has(type) ? type : TYPES[table][retype]
}

/** What of each disk is new: path and format are given by the caller. */
export type NewDisk = Omit<PlannedDisk, 'path' | 'format'>

/** The disks that are needed, in the order of `disks`, with all their partitions. */
export function placeAsOnSource(disks: readonly Disk[], needs: readonly Need[], differences: PlanDifference[]): { disks: NewDisk[], places: Map<string, Place> } {
  const places = new Map<string, Place>()
  const used = disks.filter(d => needs.some(n => n.disk === d))
  const made = used.map((disk, index): NewDisk => {
    const own = needs.filter(n => n.disk === disk)
    const planned = layOut(disk, own, differences)
    for (const need of own) {
      const sizeBytes = need.partition === 0 ? planned.sizeBytes : planned.partitions.find(p => p.number === need.partition)?.sizeBytes ?? 0
      places.set(need.key, { disk: index, partition: need.partition, sizeBytes })
    }
    return planned
  })
  return { disks: made, places }
}

function layOut(disk: Disk, needs: readonly Need[], differences: PlanDifference[]): NewDisk {
  const first = Math.min(...disk.partitions.map(p => p.startBytes))
  let shift = disk.partitions.length > 0 && first < FIRST_START_BYTES ? FIRST_START_BYTES - first : 0
  if (shift > 0) differences.push({ code: 'PARTITIONS_MOVED', subject: disk.name, message: `Partitions of ${disk.name} start ${String(shift)} bytes later, so that the first one starts at 1 MiB; their sizes are the same.` })
  const partitions = new Map<number, Partition>()
  let extended: Partition | undefined
  let grown = disk.table === 'none' ? (needs[0]?.sizeBytes ?? disk.sizeBytes) - disk.sizeBytes : 0
  for (const source of disk.partitions.toSorted((a, b) => a.startBytes - b.startBytes || a.number - b.number)) {
    const need = needs.find(n => n.partition === source.number)
    const wanted = need?.sizeBytes ?? source.sizeBytes
    const placed = { ...source, type: typeFor(disk, source, need?.retype), startBytes: source.startBytes + shift, sizeBytes: wanted }
    if (placed.type !== source.type) differences.push({ code: 'PARTITION_TYPE', subject: partitionName(disk.name, source.number), message: `Partition ${partitionName(disk.name, source.number)} has the type ${placed.type} instead of ${source.type}.` })
    partitions.set(source.number, placed)
    if (disk.table === 'dos' && EXTENDED.has(source.type)) extended = placed
    const delta = Math.ceil((wanted - source.sizeBytes) / MIB) * MIB // what follows stays where it is against 1 MiB
    if (delta === 0) continue
    shift += delta
    grown += delta
    if (extended !== undefined && source.number > 4) extended.sizeBytes += delta
    differences.push({ code: 'PARTITION_SIZE', subject: partitionName(disk.name, source.number), message: `Partition ${partitionName(disk.name, source.number)} has ${String(wanted)} bytes instead of ${String(source.sizeBytes)}; what lies behind it moves.` })
  }
  const list = disk.partitions.flatMap(p => partitions.get(p.number) ?? [])
  const end = Math.max(0, ...list.map(p => p.startBytes + p.sizeBytes)) + (disk.table === 'gpt' ? GPT_END_BYTES : 0)
  const sizeBytes = Math.ceil(Math.max(disk.sizeBytes + grown, end) / MIB) * MIB
  if (sizeBytes !== disk.sizeBytes) differences.push({ code: 'DISK_SIZE', subject: disk.name, message: `The disk for ${disk.name} has ${String(sizeBytes)} bytes instead of ${String(disk.sizeBytes)}.` })
  if (disk.sectorSizeBytes !== 512) differences.push({ code: 'SECTOR_SIZE', subject: disk.name, message: `The disk for ${disk.name} has sectors of 512 bytes instead of ${String(disk.sectorSizeBytes)}.` })
  return { sourceDisk: disk.name, sizeBytes, table: disk.table, tableId: disk.tableId, partitions: list }
}
