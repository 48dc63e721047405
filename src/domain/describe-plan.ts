/** The plan of a replica as text that people read and compare: disks, volume groups, file systems with what they are made with, and what differs. Pure. */
import type { PlannedDisk, PlannedEncryption, PlannedPhysicalVolume, PlannedVolume, PlannedVolumeGroup, ReplicaPlan } from './replica.ts'
import { PLAN_DIFFERENCES } from './plan-difference.ts'
import type { FileSystem } from './volume.ts'

/** Lines without an end; names of the source may hold anything and are for the caller to clean. */
export function describePlan(plan: ReplicaPlan): string[] {
  const groups = plan.volumeGroups ?? []
  return [
    ...plan.disks.flatMap((disk, i) => describeDisk(plan, disk, i)),
    ...groups.flatMap((group, i) => describeGroup(plan, group, i)),
    'file systems',
    ...plan.volumes.flatMap((planned, i) => describeVolume(planned, plan.volumes.slice(0, i).some(v => v.volume.device === planned.volume.device))),
    'network', ...plan.adapters.map(a => `  ${a.sourceName}  ${a.type} ${a.mac}  ${a.network}`),
    `different from the source${plan.differences.length === 0 ? ': nothing' : ''}`,
    ...plan.differences.map(d => `  ${PLAN_DIFFERENCES[d.code] === '' ? ' ' : '!'} ${d.code}  ${d.message}`),
  ]
}

function describeDisk(plan: ReplicaPlan, disk: PlannedDisk, index: number): string[] {
  const table = disk.table === 'none' ? `no table: ${contentOf(plan, index, 0)}` : `${disk.table} ${disk.tableId}`
  return [
    `disk ${String(index)}  ${size(disk.sizeBytes)} ${disk.format}  ${table}  for ${disk.sourceDisk}`,
    ...disk.partitions.map(p => {
      const flags = [...p.bootable ? ['bootable'] : [], ...p.name === '' ? [] : [`"${p.name}"`], ...p.attributes === undefined ? [] : [p.attributes]]
      return `  ${String(p.number)}  at ${size(p.startBytes)}  ${size(p.sizeBytes)}  ${[typeName(p.type), p.uuid, ...flags, contentOf(plan, index, p.number)].filter(w => w !== '').join('  ')}`
    }),
  ]
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  '05': '05 extended', '0f': '0f extended', '82': '82 swap', '83': '83 Linux', '8e': '8e LVM', 'fd': 'fd RAID', 'ef': 'ef ESP',
  '21686148-6449-6E6F-744E-656564454649': 'BIOS boot', 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B': 'ESP', '0FC63DAF-8483-4772-8E79-3D69D8477DE4': 'Linux', '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F': 'swap',
  'E6D6D379-F507-44C2-A23C-238F2A3DF928': 'LVM', 'A19D880F-05FC-4D3B-A006-743F0F84911E': 'RAID', '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709': 'root x86-64', 'BC13C2FF-59E6-4262-A352-B275FD6F7172': 'XBOOTLDR',
  'CA7D7CCB-63ED-4C53-861C-1742536059CC': 'LUKS', 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7': 'basic data', '9E1A2D38-C612-4316-AA26-8B49521E5A8B': 'PReP',
}

function typeName(type: string): string {
  return TYPE_NAMES[type] ?? type
}

/** What lies directly on a partition or disk. */
function contentOf(plan: ReplicaPlan, disk: number, partition: number): string {
  const here = (at: { disk: number, partition: number }): boolean => at.disk === disk && at.partition === partition
  const group = plan.volumeGroups?.find(g => g.physicalVolumes.some(here))
  if (group !== undefined) return `${inside(group.physicalVolumes.find(here)?.encryption)}physical volume of ${group.name}`
  const volumes = plan.volumes.filter(v => v.logicalVolume === undefined && here(v))
  return volumes.length === 0 ? '' : `${inside(volumes[0]?.encryption)}${volumes.map(v => v.volume.mountPoint ?? v.volume.fileSystem.type).join(' ')}`
}

function inside(encryption: PlannedEncryption | undefined): string {
  return encryption === undefined ? '' : `${encryption.type} ${encryption.uuid} ${encryption.cipher} (${encryption.name}) with `
}

function describeGroup(plan: ReplicaPlan, group: PlannedVolumeGroup, index: number): string[] {
  const extents = (count: number): string => size(count * group.extentSizeBytes)
  const free = group.physicalVolumes.reduce((sum, p) => sum + p.extents, 0) - group.logicalVolumes.reduce((sum, v) => sum + v.extents, 0)
  return [
    `group ${String(index)}  ${group.name}  ${group.uuid}  extents of ${size(group.extentSizeBytes)}, ${extents(free)} free${tagged(group.tags)}  made as ${group.temporaryName}`,
    ...group.physicalVolumes.map((p, i) => `  pv${String(i)}  ${p.uuid}  on disk ${String(p.disk)}${p.partition === 0 ? '' : ` partition ${String(p.partition)}`}  ${extents(p.extents)} from ${size(p.dataStartBytes)}${tagged(p.tags)}`),
    ...group.logicalVolumes.map(v => `  ${v.name}  ${v.uuid}  ${extents(v.extents)}  ${v.segments.map(s => segment(s, group.physicalVolumes)).join(' + ')}${tagged(v.tags)}${v.readOnly === true ? '  read-only' : ''}${v.activationSkip === true ? '  not activated with the group' : ''}  ${onLogical(plan, group.name, v.name)}`),
  ]
}

function segment({ extents, areas, stripeSizeBytes }: PlannedVolumeGroup['logicalVolumes'][number]['segments'][number], physical: readonly PlannedPhysicalVolume[]): string {
  const places = areas.map(a => `pv${String(Math.min(a.physicalVolume, physical.length - 1))}:${String(a.startExtent)}`)
  return areas.length === 1 ? `${String(extents)}@${places.join('')}` : `${String(extents)} in stripes of ${size(stripeSizeBytes)}@${places.join(',')}`
}

function onLogical(plan: ReplicaPlan, group: string, name: string): string {
  const volumes = plan.volumes.filter(v => v.logicalVolume?.group === group && v.logicalVolume.name === name)
  return `${inside(volumes[0]?.encryption)}${volumes.map(v => v.volume.mountPoint ?? v.volume.fileSystem.type).join(' ')}`
}

function tagged(tags: readonly string[]): string {
  return tags.length === 0 ? '' : `  tags ${tags.join(' ')}`
}

/** @param known the file system was described before: it has several subvolumes */
function describeVolume({ volume, index }: PlannedVolume, known: boolean): string[] {
  const { fileSystem: f } = volume
  const name = volume.mountPoint ?? volume.name
  const label = f.label === '' ? '' : `  "${f.label}"`
  const subvolume = volume.subvolume === undefined ? '' : `  subvolume ${volume.subvolume === '' ? '(top)' : volume.subvolume}`
  return [
    `  ${index < 0 ? '-' : String(index)}  ${name}  ${f.type}  ${size(volume.sizeBytes)}  ${f.uuid}${label}${subvolume}`,
    ...(known ? [] : madeWith(f)).map(line => `       ${line}`),
  ]
}

function madeWith(f: FileSystem): string[] {
  const value = (key: string): string => f.properties[key] ?? '?'
  switch (f.type) {
    case 'ext2': case 'ext3': case 'ext4':
      return [`${value('blockCount')} blocks of ${String(f.blockSizeBytes)}, ${value('inodeCount')} inodes of ${String(f.inodeSizeBytes)}`, f.features.join(' ')]
    case 'xfs':
      return [`${value('blocks')} blocks of ${String(f.blockSizeBytes)}, groups of ${value('agsize')}, inodes of ${String(f.inodeSizeBytes)}`, f.features.join(' ')]
    case 'btrfs':
      return [
        `nodes of ${value('nodesize')}, ${value('checksum')}, data ${value('data')}, metadata ${value('metadata')}`, f.features.join(' '),
        ...f.subvolumes === undefined || f.subvolumes.length === 0 ? [] : [`subvolumes ${f.subvolumes.map(s => `${s.path}${s.default ? ' (default)' : ''}${s.noCow ? ' (nocow)' : ''}`).join(', ')}`],
      ]
    case 'vfat': return [`FAT${value('fatBits')}, sectors of ${value('sectsz')}`]
    case 'swap': case 'unsupported': return []
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Exact: in the largest unit that divides it, so that two sizes that differ look different. */
function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value !== 0 && value % 1024 === 0 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${String(value)} ${UNITS[unit] ?? ''}`
}
