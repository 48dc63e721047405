/** Disks, volume groups and volumes of the replica, from the volumes that were chosen and the layout that was asked for. Pure. */
import { LONGEST_MAP_NAME, mapNameOf } from '../command/lvm.ts'
import type { JobOptions } from '../domain/job.ts'
import type { Encryption, VolumeGroup } from '../domain/layer.ts'
import { SOURCE_LAYOUT, type LayoutOptions } from '../domain/layout-options.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { PlannedEncryption, PlannedPhysicalVolume, PlannedVolume, PlannedVolumeGroup } from '../domain/replica.ts'
import type { Disk, Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import { derivedLvmId, derivedUuid } from './derived-uuid.ts'
import { groundOf, nameBelow, type Between, type Ground } from './ground.ts'
import { betweenDifferences, keptEncryption as kept, remadeDifferences, resizeDifference } from './layer-differences.ts'
import { allocate, flattening, physicalVolumesFor, type GroupRequest, type WantedLogical, type WantedPhysical } from './plan-groups.ts'
import { placeAsOnSource, type Need, type NewDisk, type Place } from './plan-places.ts'
import { placePerVolume } from './plan-places-per-volume.ts'
import { resizeFileSystem } from './resize-file-system.ts'

export interface LayoutRequest { jobId: string, workload: Workload, options: JobOptions, chosen: readonly Volume[], maxDiskBytes: number }
export interface Layout {
  disks: NewDisk[]
  volumeGroups: PlannedVolumeGroup[]
  volumes: PlannedVolume[]
  /** names of the source's disks from which something comes */
  sourceDisks: ReadonlySet<string>
}

/** A device that is to hold volumes: one file system or swap, of a btrfs several volumes. */
interface Holder { volumes: readonly Volume[], ground: Ground, sizeBytes: number }

/** What LUKS puts before the data, at most. */
const HEADER_BYTES = 16 << 20
/** What LUKS1 has at least with a key of 256 bits. */
const SMALLEST_HEADER_BYTES = 1 << 20
const HEADER_GRAIN_BYTES = 4096

/** Volumes whose ground is not known are left out of the result; `unsupported-volume.ts` says why. */
export function planLayout(request: LayoutRequest, differences: PlanDifference[]): Layout {
  const { jobId, workload, options: { layout = SOURCE_LAYOUT } } = request
  const holders = holdersOf(request, layout)
  const groups = groupRequests(request, holders, layout)
  const physical = new Map(groups.map(g => [g, physicalVolumesFor(g, differences)]))
  const needs = [
    ...holders.flatMap(h => (h.ground.kind === 'place' ? [placeNeed(h, h.ground, layout)] : [])),
    ...groups.flatMap(g => (physical.get(g) ?? []).map(p => physicalNeed(workload, g, p, layout))),
  ]
  const order = ranked(request, holders)
  const { disks, places } = layout.disks === 'per-volume'
    ? placePerVolume({ jobId, needs: needs.toSorted((a, b) => rankOf(order, a) - rankOf(order, b)), firmware: workload.firmware }, differences)
    : placeAsOnSource(workload.disks.toSorted((a, b) => rankOf(order, { disk: a }) - rankOf(order, { disk: b })), needs, differences)
  const volumeGroups = groups.map(g => plannedGroup(request, g, physical.get(g) ?? [], places, layout, differences))
  const volumes = holders.flatMap(h => plannedVolumes(request, h, volumeGroups, places, layout, differences))
  return { disks, volumeGroups, volumes: numbered(volumes), sourceDisks: new Set([...needs.map(n => n.disk.name), ...groups.flatMap(g => g.group.physicalVolumes.flatMap(p => diskOf(groundOf(workload, p.on))))]) }
}

function diskOf(ground: Ground): string[] {
  return ground.kind === 'place' ? [ground.disk.name] : []
}

function holdersOf({ workload, chosen }: LayoutRequest, layout: LayoutOptions): Holder[] {
  const byName = new Map<string, Volume[]>()
  for (const volume of chosen) byName.set(nameBelow(volume), [...byName.get(nameBelow(volume)) ?? [], volume])
  return [...byName].map(([name, volumes]) => {
    const asked = layout.sizes.find(s => volumes.some(v => s.volume === v.name || s.volume === v.mountPoint))?.sizeBytes
    const source = volumes[0]?.sizeBytes ?? 0
    return { volumes, ground: groundOf(workload, name), sizeBytes: asked ?? source }
  })
}

function groupRequests({ workload, maxDiskBytes }: LayoutRequest, holders: readonly Holder[], options: LayoutOptions): GroupRequest[] {
  const wanted = new Map<VolumeGroup, WantedLogical[]>()
  for (const { ground, sizeBytes, volumes } of holders) {
    if (ground.kind !== 'logical') continue
    const header = kept(ground.between, options) === undefined || sizeBytes === volumes[0]?.sizeBytes ? 0 : HEADER_BYTES
    const resized = sizeBytes === volumes[0]?.sizeBytes ? ground.logical.sizeBytes : sizeBytes + header
    wanted.set(ground.group, [...wanted.get(ground.group) ?? [], { logical: ground.logical, sizeBytes: resized }])
  }
  return [...wanted].map(([group, list]) => ({
    group, wanted: list.toSorted((a, b) => (a.logical.name < b.logical.name ? -1 : 1)), options, maxDiskBytes,
    sourceSizes: group.physicalVolumes.map(p => payloadBytes(groundOf(workload, p.on), options)),
  }))
}

/** What a physical volume has on its place: all of it, but of an encrypted one that stays so what is behind the header, and of an array what that has. */
function payloadBytes(ground: Ground, options: LayoutOptions): number {
  if (ground.kind !== 'place') return 0
  return kept(ground.between, options)?.sizeBytes ?? sourcePlaceBytes(ground)
}

function sourcePlaceBytes({ disk, partition, between }: Extract<Ground, { kind: 'place' }>): number {
  const striped = between.arrays.find(a => a.level !== 'raid1')
  const own = partition === 0 ? disk.sizeBytes : disk.partitions.find(p => p.number === partition)?.sizeBytes ?? 0
  return striped === undefined ? own : striped.sizeBytes
}

/** Whether something was taken away and nothing is made in its place. */
function isBare(between: Between, options: LayoutOptions): boolean {
  return between.arrays.length + between.encryptions.length > 0 && kept(between, options) === undefined
}

function placeNeed({ volumes, sizeBytes }: Holder, ground: Extract<Ground, { kind: 'place' }>, options: LayoutOptions): Need {
  const source = volumes[0]?.sizeBytes ?? 0
  const [volume] = volumes
  const retype = !isBare(ground.between, options) ? undefined : volume?.fileSystem.type === 'swap' ? 'swap' : volume?.fileSystem.type === 'vfat' ? 'esp' : 'linux'
  return { key: keyOf(ground), name: volume?.name ?? '', retype, disk: ground.disk, partition: ground.partition, sizeBytes: sizeBytes === source ? sourcePlaceBytes(ground) : sizeBytes + (kept(ground.between, options) === undefined ? 0 : HEADER_BYTES) }
}

function keyOf({ disk, partition }: Extract<Ground, { kind: 'place' }>): string {
  return `place:${disk.name}:${String(partition)}`
}

function physicalNeed(workload: Workload, { group, sourceSizes }: GroupRequest, { index, sizeBytes }: WantedPhysical, options: LayoutOptions): Need {
  const ground = groundOf(workload, (group.physicalVolumes[index] ?? group.physicalVolumes[0])?.on ?? '')
  if (ground.kind !== 'place') return { key: `group:${group.name}:${String(index)}`, name: group.name, disk: UNKNOWN_DISK, partition: 0, sizeBytes }
  const matching = options.disks === 'matching'
  return {
    retype: isBare(ground.between, options) ? 'lvm' : undefined,
    key: matching ? keyOf(ground) : `group:${group.name}:${String(index)}`, name: index === 0 || matching ? group.name : `${group.name} (${String(index + 1)})`, disk: ground.disk, partition: ground.partition,
    sizeBytes: matching ? sourcePlaceBytes(ground) + sizeBytes - (sourceSizes[index] ?? 0) : sizeBytes + (kept(ground.between, options) === undefined ? 0 : HEADER_BYTES),
  }
}

/** Of a group that is refused by validation: it is on none of the source's disks. */
const UNKNOWN_DISK: Disk = { name: '', sizeBytes: 1, sectorSizeBytes: 512, table: 'none', tableId: '', partitions: [] }

/** The disks from which the firmware, the boot loader and the kernel start come first. */
function ranked({ workload }: LayoutRequest, holders: readonly Holder[]): readonly string[] {
  const starting = workload.firmware === 'uefi' ? ['/boot/efi', '/efi', '/boot', '/'] : ['/boot', '/']
  return starting.flatMap(mountPoint => {
    const holder = holders.find(h => h.volumes.some(v => v.mountPoint === mountPoint))
    if (holder === undefined) return []
    const { ground } = holder
    if (ground.kind === 'place') return [keyOf(ground), ground.disk.name]
    if (ground.kind === 'unknown') return []
    const below = groundOf(workload, ground.group.physicalVolumes[0]?.on ?? '')
    return [`group:${ground.group.name}:0`, ...below.kind === 'place' ? [below.disk.name] : []]
  })
}

function rankOf(order: readonly string[], { key, disk }: { key?: string, disk: Disk }): number {
  const at = order.indexOf(key ?? disk.name)
  return at < 0 ? order.length : at
}

function plannedGroup({ jobId, workload }: LayoutRequest, request: GroupRequest, physical: readonly WantedPhysical[], places: ReadonlyMap<string, Place>, options: LayoutOptions, differences: PlanDifference[]): PlannedVolumeGroup {
  const { group } = request
  const physicalVolumes = physical.flatMap((wanted): PlannedPhysicalVolume[] => {
    const source = group.physicalVolumes[wanted.index]
    const ground = groundOf(workload, (source ?? group.physicalVolumes[0])?.on ?? '')
    const place = places.get(options.disks === 'matching' && ground.kind === 'place' ? keyOf(ground) : `group:${group.name}:${String(wanted.index)}`)
    if (place === undefined || ground.kind !== 'place') return []
    if (source !== undefined) differences.push(...betweenDifferences(`volume group ${group.name}`, ground.between, options))
    const encryption = kept(ground.between, options)
    return [{ uuid: source?.uuid ?? derivedLvmId(jobId, group.uuid, String(wanted.index)), ...place, dataStartBytes: wanted.dataStartBytes, extents: wanted.extents, tags: source?.tags ?? [], ...(encryption === undefined ? {} : { encryption: remade(encryption, sourcePlaceBytes(ground), workload) }) }]
  })
  for (const { on } of options.disks === 'matching' ? [] : group.physicalVolumes.slice(physical.length)) {
    const ground = groundOf(workload, on)
    const partition = ground.kind === 'place' ? ground.disk.partitions.find(p => p.number === ground.partition) : undefined
    if (partition !== undefined) differences.push({ code: 'PARTITION_IDENTITY', subject: group.name, message: `${on} (PARTUUID ${partition.uuid}) is not on the replica: volume group ${group.name} lies on fewer physical volumes.` })
  }
  for (const wanted of request.wanted) {
    const lost = flattening(group, wanted)
    if (lost !== undefined) differences.push(lost)
  }
  return { name: group.name, temporaryName: temporaryName(jobId, group, request.wanted), uuid: group.uuid, temporaryUuid: derivedLvmId(jobId, 'temporary', group.uuid), extentSizeBytes: group.extentSizeBytes, tags: group.tags, physicalVolumes, logicalVolumes: allocate(request, physicalVolumes, differences).map(v => ({ ...v, temporaryUuid: derivedLvmId(jobId, 'temporary', group.uuid, v.uuid) })) }
}

/** The kernel knows a logical volume by one name of up to 127 characters, in which that of its group is a part. */
function temporaryName(jobId: string, { name, uuid }: VolumeGroup, wanted: readonly WantedLogical[]): string {
  const long = `m_${jobId}_${name}`
  return wanted.every(({ logical }) => mapNameOf(long, logical.name).length <= LONGEST_MAP_NAME) ? long : `m_${derivedUuid(jobId, uuid).replaceAll('-', '')}`
}

function plannedVolumes({ workload }: LayoutRequest, { volumes, ground, sizeBytes }: Holder, groups: readonly PlannedVolumeGroup[], places: ReadonlyMap<string, Place>, options: LayoutOptions, differences: PlanDifference[]): Omit<PlannedVolume, 'index'>[] {
  if (ground.kind === 'unknown') return []
  const encryption = kept(ground.between, options)
  const containerBytes = ground.kind === 'place' ? sourcePlaceBytes(ground) : ground.logical.sizeBytes
  const common = encryption === undefined ? {} : { encryption: remade(encryption, containerBytes, workload) }
  differences.push(...betweenDifferences(volumes[0]?.name ?? '', ground.between, options))
  return volumes.flatMap(source => {
    const planned = resized(source, sizeBytes, differences)
    if (ground.kind === 'place') {
      const place = places.get(keyOf(ground))
      return place === undefined ? [] : [{ volume: planned, disk: place.disk, partition: place.partition, ...common }]
    }
    const group = groups.find(g => g.uuid === ground.group.uuid)
    const first = group?.logicalVolumes.find(v => v.uuid === ground.logical.uuid)?.segments[0]?.areas[0]
    const below = group?.physicalVolumes[first?.physicalVolume ?? 0]
    return below === undefined ? [] : [{ volume: planned, disk: below.disk, partition: below.partition, logicalVolume: { group: ground.group.name, name: ground.logical.name }, ...common }]
  })
}

function resized(source: Volume, sizeBytes: number, differences: PlanDifference[]): Volume {
  if (sizeBytes !== source.sizeBytes) differences.push(resizeDifference(source, sizeBytes))
  const fileSystem = resizeFileSystem(source.fileSystem, source.sizeBytes, sizeBytes)
  differences.push(...remadeDifferences(source, fileSystem))
  return { ...source, sizeBytes, fileSystem }
}

/** The container as it will be. In FIPS mode, and in LUKS1, there is no Argon2. @param containerBytes of the device that it fills on the source */
function remade({ name, type, uuid, label, cipher, keyBits, sizeBytes }: Encryption, containerBytes: number, { boot }: Pick<Workload, 'boot'>): PlannedEncryption {
  const before = containerBytes - sizeBytes
  const headerBytes = before < SMALLEST_HEADER_BYTES ? 0 : Math.min(before - before % HEADER_GRAIN_BYTES, HEADER_BYTES)
  return { name, type, uuid, label, cipher, keyBits, headerBytes, keyDerivation: type === 'LUKS2' && !/(?:^|\s)fips=1(?:\s|$)/.test(boot.commandLine) ? 'argon2id' : 'pbkdf2' }
}

/** Data volumes get their index on the wire in the order of their mount points, a parent before what is mounted in it; swap gets none. */
function numbered(volumes: readonly Omit<PlannedVolume, 'index'>[]): PlannedVolume[] {
  const key = ({ volume }: Omit<PlannedVolume, 'index'>): string => volume.mountPoint ?? volume.name
  const data = volumes.filter(v => v.volume.fileSystem.type !== 'swap').sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
  const swap = volumes.filter(v => v.volume.fileSystem.type === 'swap')
  return [...data.map((v, index) => ({ ...v, index })), ...swap.map(v => ({ ...v, index: -1 }))]
}
