/**
 * The metadata of a planned volume group as LVM's own text (the format of vgcfgbackup), so that the group, its physical and its logical volumes get the
 * identifiers of the source: GRUB finds logical volumes by them. While it is in the appliance it has others: of two groups with the same identifiers
 * LVM takes the mapped volumes of one for those of the other (it renames them, and answers that all is active). Pure.
 */
import { LONGEST_MAP_NAME, mapNameOf } from '../command/lvm.ts'
import type { PlannedLogicalVolume, PlannedPhysicalVolume, PlannedSegment, PlannedVolumeGroup } from '../domain/replica.ts'

const SECTOR_BYTES = 512
/** No LVM of an appliance shows its logical volumes when the disks appear; versions before 2.03.12 pass it over. */
const NEVER_BY_ITSELF = '"NOAUTOACTIVATE"'

/** temporary: as it is in the appliance; final: as it is handed over. */
export type GroupIdentity = 'temporary' | 'final'

/** @param devices of the physical volumes, in their order; a hint for people */
export function lvmMetadata(group: PlannedVolumeGroup, identity: GroupIdentity, devices: readonly string[]): string {
  const { extentSizeBytes, tags, physicalVolumes, logicalVolumes } = group
  return [
    'contents = "Text Format Volume Group"', 'version = 1', 'description = ""', 'creation_host = "landfall"', 'creation_time = 0', '',
    `${word(groupName(group, identity))} {`,
    `id = ${text(identity === 'final' ? group.uuid : group.temporaryUuid)}`, 'seqno = 1', 'format = "lvm2"', 'status = ["RESIZEABLE", "READ", "WRITE"]', `flags = [${identity === 'final' ? '' : NEVER_BY_ITSELF}]`, ...tagged(tags),
    `extent_size = ${sectors(extentSizeBytes)}`, 'max_lv = 0', 'max_pv = 0', 'metadata_copies = 0', '',
    'physical_volumes {',
    ...physicalVolumes.flatMap((p, i) => [
      `pv${String(i)} {`, `id = ${text(p.uuid)}`, `device = ${text(devices[i] ?? '')}`, 'status = ["ALLOCATABLE"]', 'flags = []', ...tagged(p.tags),
      `dev_size = ${sectors(physicalBytes(p))}`, `pe_start = ${sectors(p.dataStartBytes)}`, `pe_count = ${String(p.extents)}`, '}',
    ]),
    '}',
    ...(logicalVolumes.length === 0 ? [] : ['logical_volumes {', ...logicalVolumes.flatMap(v => logical(v, identity)), '}']),
    '}', '',
  ].join('\n')
}

/** The name by which LVM's commands know the group. */
export function groupName(group: PlannedVolumeGroup, identity: GroupIdentity): string {
  return identity === 'final' ? group.name : group.temporaryName
}

/** What a physical volume has: of its partition what is left by the container in which it lies. */
export function physicalBytes({ sizeBytes, encryption }: PlannedPhysicalVolume): number {
  return sizeBytes - (encryption?.headerBytes ?? 0)
}

function logical({ name, uuid, temporaryUuid, tags, segments, readOnly, activationSkip }: PlannedLogicalVolume, identity: GroupIdentity): string[] {
  const final = identity === 'final'
  let start = 0
  return [
    `${word(name)} {`, `id = ${text(final ? uuid : temporaryUuid)}`, `status = ["READ", ${final && readOnly === true ? '' : '"WRITE", '}"VISIBLE"]`, `flags = [${final && activationSkip === true ? '"ACTIVATION_SKIP"' : ''}]`, ...tagged(tags), `segment_count = ${String(segments.length)}`,
    ...segments.flatMap((segment, i) => {
      const lines = segmentLines(segment, i + 1, start)
      start += segment.extents
      return lines
    }),
    '}',
  ]
}

function segmentLines({ extents, stripeSizeBytes, areas }: PlannedSegment, number: number, start: number): string[] {
  return [
    `segment${String(number)} {`, `start_extent = ${String(start)}`, `extent_count = ${String(extents)}`, 'type = "striped"', `stripe_count = ${String(areas.length)}`,
    ...(areas.length === 1 ? [] : [`stripe_size = ${sectors(stripeSizeBytes)}`]),
    `stripes = [${areas.map(a => `"pv${String(a.physicalVolume)}", ${String(a.startExtent)}`).join(', ')}]`, '}',
  ]
}

function tagged(tags: readonly string[]): string[] {
  return tags.length === 0 ? [] : [`tags = [${tags.map(text).join(', ')}]`]
}

function sectors(bytes: number): string {
  return String(Math.floor(bytes / SECTOR_BYTES))
}

/** Names come from the source: only what LVM itself allows goes into the text. */
function word(name: string): string {
  return LVM_NAME.test(name) ? name : '_'
}

function text(value: string): string {
  return `"${value.replace(/[^A-Za-z0-9_+.\-/=!:&#]/g, '')}"`
}

/** What LVM takes as a name. */
const LVM_NAME = /^(?!\.{1,2}$)[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,126}$/
const LVM_ID = /^[A-Za-z0-9]{6}(?:-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}$/
const TAG = /^[A-Za-z0-9_+.\-/=!:&#]{1,1023}$/
/** The label and the metadata area have to fit before the first extent. */
const SMALLEST_START_BYTES = 64 * 1024

/** Why LVM would not take the group, or undefined when it does. Validation asks it before a job starts. */
export function whyGroupNotMade({ name, temporaryName, uuid, temporaryUuid, tags, extentSizeBytes, physicalVolumes, logicalVolumes }: PlannedVolumeGroup): string | undefined {
  const names = [name, temporaryName, ...logicalVolumes.map(v => v.name)]
  const odd = names.find(n => !LVM_NAME.test(n)) ?? [uuid, temporaryUuid, ...physicalVolumes.map(p => p.uuid), ...logicalVolumes.flatMap(v => [v.uuid, v.temporaryUuid])].find(id => !LVM_ID.test(id))
  if (odd !== undefined) return `"${odd}" is no name or identifier of LVM`
  const long = logicalVolumes.find(v => mapNameOf(temporaryName, v.name).length > LONGEST_MAP_NAME)
  if (long !== undefined) return `the name of its logical volume ${long.name} is too long`
  const tag = [...tags, ...physicalVolumes.flatMap(p => p.tags), ...logicalVolumes.flatMap(v => v.tags)].find(one => !TAG.test(one))
  if (tag !== undefined) return `"${tag}" is no tag of LVM`
  if (extentSizeBytes % SECTOR_BYTES !== 0) return `its extents have ${String(extentSizeBytes)} bytes`
  if (physicalVolumes.length === 0) return 'nothing is known of its physical volumes'
  if (physicalVolumes.some(p => p.dataStartBytes < SMALLEST_START_BYTES)) return 'its extents begin so early that there is no room for its metadata'
  const short = logicalVolumes.find(v => v.segments.reduce((sum, s) => sum + s.extents, 0) !== v.extents)
  return short === undefined ? undefined : `there is no room for its logical volume ${short.name}`
}
