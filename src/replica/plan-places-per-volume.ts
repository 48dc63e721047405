/** One disk for each partition and for each physical volume. Pure. */
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { Disk, Partition } from '../domain/volume.ts'
import { derivedUuid } from './derived-uuid.ts'
import { partitionName } from './ground.ts'
import { GPT_END_BYTES, MIB, typeFor, type Need, type NewDisk, type Place } from './plan-places.ts'

const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649'
/** the partition starts here; before it lies room for GRUB's core image */
const START_BYTES = MIB

export interface PerVolumeRequest {
  jobId: string
  /** in the order of the disks to be; the firmware starts from the first */
  needs: readonly Need[]
  firmware: 'bios' | 'uefi'
}

/** The first disk keeps a partition table whatever lies on it; a physical volume on another one needs none. */
export function placePerVolume({ jobId, needs, firmware }: PerVolumeRequest, differences: PlanDifference[]): { disks: NewDisk[], places: Map<string, Place> } {
  const places = new Map<string, Place>()
  const keptTables = new Set<Disk>()
  const gone = new Set<Partition>()
  const disks = needs.map((need, index): NewDisk => {
    const source = need.disk.partitions.find(p => p.number === need.partition)
    const bare = source === undefined || (isGroup(need) && index > 0)
    const made = bare ? wholeDisk(need) : oneBesideLoader(need, source, { jobId, loader: index === 0 && firmware === 'bios', first: !keptTables.has(need.disk) }, differences)
    if (!bare) keptTables.add(need.disk)
    else if (source !== undefined && !gone.has(source)) {
      gone.add(source)
      differences.push({ code: 'PARTITION_IDENTITY', subject: need.name, message: `${partitionName(need.disk.name, source.number)} (PARTUUID ${source.uuid}) is no partition: the physical volume on it has a whole disk.` })
    }
    const partition = bare ? 0 : made.partitions.at(-1)?.number ?? 0
    places.set(need.key, { disk: index, partition, sizeBytes: bare ? made.sizeBytes : need.sizeBytes })
    differences.push({ code: 'DISK_PER_VOLUME', subject: need.name, message: `${need.name} has a disk of its own, of ${String(made.sizeBytes)} bytes.` })
    return made
  })
  return { disks, places }
}

/** The key of a physical volume says its group. */
function isGroup(need: Need): boolean {
  return need.key.startsWith('group:')
}

function wholeDisk(need: Need): NewDisk {
  return { sourceDisk: need.name, sizeBytes: Math.ceil(need.sizeBytes / MIB) * MIB, table: 'none', tableId: '', partitions: [] }
}

/** A table like the source's with this one partition, and with the boot loader's place before it where the firmware needs that. */
function oneBesideLoader(need: Need, source: Partition, how: { jobId: string, loader: boolean, first: boolean }, differences: PlanDifference[]): NewDisk {
  const { disk } = need
  const gpt = disk.table === 'gpt'
  const loader = gpt && how.loader ? disk.partitions.filter(p => p.type === BIOS_BOOT).map(p => ({ ...p, startBytes: START_BYTES })) : []
  const startBytes = START_BYTES + loader.reduce((sum, p) => sum + Math.ceil(p.sizeBytes / MIB) * MIB, 0)
  const tableId = how.first ? disk.tableId : gpt ? derivedUuid(how.jobId, need.key).toUpperCase() : `0x${derivedUuid(how.jobId, need.key).slice(0, 8)}`
  if (!how.first) differences.push({ code: 'DISK_IDENTITY', subject: need.name, message: `The disk for ${need.name} has the identifier ${tableId}; that of ${disk.name} (${disk.tableId}) stays with another one.` })
  const number = gpt || source.number <= 4 ? source.number : 1 // a logical one becomes the only primary one
  const uuid = gpt ? source.uuid : `${tableId.replace(/^0x/, '')}-${number.toString(16).padStart(2, '0')}`
  if (number !== source.number || uuid.toLowerCase() !== source.uuid.toLowerCase()) {
    differences.push({ code: 'PARTITION_IDENTITY', subject: need.name, message: `${partitionName(disk.name, source.number)} becomes partition ${String(number)} of its own disk, with PARTUUID ${uuid} instead of ${source.uuid}.` })
  }
  const partitions = [...loader, { ...source, type: typeFor(disk, source, need.retype), number, uuid, startBytes, sizeBytes: need.sizeBytes }]
  const end = startBytes + need.sizeBytes + (gpt ? GPT_END_BYTES : 0)
  return { sourceDisk: need.name, sizeBytes: Math.ceil(end / MIB) * MIB, table: disk.table, tableId, partitions }
}
