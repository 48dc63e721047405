/** The volume groups of the replica: which logical volumes they have, how large they are, and where each extent lies. Pure. */
import type { LayoutOptions } from '../domain/layout-options.ts'
import type { LogicalVolume, VolumeGroup } from '../domain/layer.ts'
import type { PlanDifference, PlanDifferenceCode } from '../domain/plan-difference.ts'
import type { PlannedLogicalVolume, PlannedPhysicalVolume, PlannedSegment } from '../domain/replica.ts'

/** A logical volume that a volume of the job lies on. */
export interface WantedLogical { logical: LogicalVolume, sizeBytes: number }

export interface GroupRequest {
  group: VolumeGroup
  wanted: readonly WantedLogical[]
  options: LayoutOptions
  /** bytes of the place of each physical volume on the source, without what its replica does without */
  sourceSizes: readonly number[]
  /** the largest file of the datastore */
  maxDiskBytes: number
}

/** Physical volumes as they are to be: of the source (index), or further ones. */
export interface WantedPhysical { index: number, sizeBytes: number, dataStartBytes: number, extents: number }

const DATA_START_BYTES = 1 << 20

/** The physical volumes that the group needs. */
export function physicalVolumesFor(request: GroupRequest, differences: PlanDifference[]): WantedPhysical[] {
  const { group, options } = request
  const needed = request.wanted.reduce((sum, w) => sum + extentsFor(w, group.extentSizeBytes), 0)
  const option = options.groups.find(g => g.name === group.name)
  const source = group.physicalVolumes.map((p, index) => ({ index, dataStartBytes: p.dataStartBytes, extents: Math.floor(((request.sourceSizes[index] ?? 0) - p.dataStartBytes) / group.extentSizeBytes) }))
  const before = source.reduce((sum, p) => sum + p.extents, 0)
  const chosen = option?.sizeBytes === undefined ? options.disks === 'per-volume' ? group.extents : before : Math.ceil(option.sizeBytes / group.extentSizeBytes)
  const extents = Math.max(chosen, needed)
  const found = options.disks === 'per-volume' ? split(extents, option?.maxPhysicalVolumeBytes, request) : fitted(source, extents - before, request)
  const after = found.reduce((sum, p) => sum + p.extents, 0)
  if (after !== before && options.disks === 'matching') {
    differences.push({ code: 'GROUP_SIZE', subject: group.name, message: `Volume group ${group.name} has ${String(after * group.extentSizeBytes)} bytes instead of ${String(before * group.extentSizeBytes)}.` })
  }
  if (found.length !== group.physicalVolumes.length) {
    differences.push({ code: 'PHYSICAL_VOLUMES', subject: group.name, message: `Volume group ${group.name} lies on ${String(found.length)} physical volumes instead of ${String(group.physicalVolumes.length)}.` })
  }
  return found
}

/** The last one grows or shrinks; a place that keeps its size has it to the byte. */
function fitted(source: readonly Omit<WantedPhysical, 'sizeBytes'>[], change: number, { group, sourceSizes }: GroupRequest): WantedPhysical[] {
  return source.map((p, i) => {
    const delta = i === source.length - 1 ? Math.max(change, 1 - p.extents) : 0
    return { ...p, extents: p.extents + delta, sizeBytes: (sourceSizes[i] ?? 0) + delta * group.extentSizeBytes }
  })
}

function split(extents: number, chosenBytes: number | undefined, { group, maxDiskBytes }: GroupRequest): WantedPhysical[] {
  const maxBytes = Math.min(chosenBytes ?? maxDiskBytes, maxDiskBytes)
  const most = Math.max(1, Math.floor((maxBytes - 2 * DATA_START_BYTES) / group.extentSizeBytes)) // one MiB more for a partition table
  const each = Math.ceil(extents / Math.ceil(extents / most)) // alike, so that stripes have room on all
  const found: WantedPhysical[] = []
  for (let left = extents; left > 0;) {
    const here = Math.min(left, each)
    found.push({ index: found.length, sizeBytes: DATA_START_BYTES + here * group.extentSizeBytes, dataStartBytes: DATA_START_BYTES, extents: here })
    left -= here
  }
  return found
}

/** Rounded up to what its layout can have. */
export function extentsFor({ logical, sizeBytes }: WantedLogical, extentSizeBytes: number): number {
  const stripes = stripesOf(logical)
  return Math.ceil(Math.ceil(sizeBytes / extentSizeBytes) / stripes) * stripes
}

function stripesOf({ segments }: LogicalVolume): number {
  const [first] = segments
  return first !== undefined && segments.every(s => s.type === 'striped' && s.stripes > 1 && s.stripes === first.stripes) ? first.stripes : 1
}

/** Gives every logical volume its extents: striped ones first, each part on the physical volume that has it on the source where there is room. */
export function allocate({ group, wanted }: GroupRequest, physical: readonly Pick<PlannedPhysicalVolume, 'extents'>[], differences: PlanDifference[]): Omit<PlannedLogicalVolume, 'temporaryUuid'>[] {
  const free = physical.map(p => ({ next: 0, left: p.extents }))
  const take = (index: number, extents: number): number => {
    const at = free[index]
    if (at === undefined) return 0
    at.next += extents
    at.left -= extents
    return at.next - extents
  }
  const sourceIndex = (on: string | undefined): number => group.physicalVolumes.findIndex(p => p.on === on)
  const segmentsOf = new Map<WantedLogical, PlannedSegment[]>()
  for (const w of wanted.toSorted((a, b) => stripesOf(b.logical) - stripesOf(a.logical))) {
    const stripes = stripesOf(w.logical)
    const extents = extentsFor(w, group.extentSizeBytes)
    const each = extents / stripes
    const own = w.logical.segments[0]?.on.map(sourceIndex) ?? []
    const chosen = [...new Set([...own, ...free.keys()])].filter(i => (free[i]?.left ?? 0) >= each).slice(0, stripes)
    if (stripes > 1 && chosen.length === stripes) {
      segmentsOf.set(w, [{ extents, stripeSizeBytes: w.logical.segments[0]?.stripeSizeBytes ?? 0, areas: chosen.map(i => ({ physicalVolume: i, startExtent: take(i, each) })) }])
      continue
    }
    if (stripes > 1) differences.push({ code: 'STRIPES_FLATTENED', subject: `${group.name}/${w.logical.name}`, message: `Logical volume ${group.name}/${w.logical.name} is not striped: ${String(stripes)} physical volumes with room for it are missing.` })
    segmentsOf.set(w, linear(w.logical, extents, free, take, sourceIndex))
  }
  return wanted.map(w => ({
    name: w.logical.name, uuid: w.logical.uuid, extents: extentsFor(w, group.extentSizeBytes), tags: w.logical.tags, segments: segmentsOf.get(w) ?? [],
    ...(w.logical.readOnly === undefined ? {} : { readOnly: w.logical.readOnly }), ...(w.logical.activationSkip === undefined ? {} : { activationSkip: w.logical.activationSkip }),
  }))
}

function linear(logical: LogicalVolume, extents: number, free: readonly { left: number }[], take: (index: number, extents: number) => number, sourceIndex: (on: string | undefined) => number): PlannedSegment[] {
  const segments: PlannedSegment[] = []
  let left = extents
  const put = (index: number, most: number): void => {
    const here = Math.min(left, most, free[index]?.left ?? 0)
    if (here <= 0) return
    const startExtent = take(index, here)
    const last = segments.at(-1)
    const end = last?.areas[0]
    left -= here
    if (last !== undefined && end?.physicalVolume === index && end.startExtent + last.extents === startExtent) last.extents += here
    else segments.push({ extents: here, stripeSizeBytes: 0, areas: [{ physicalVolume: index, startExtent }] })
  }
  for (const s of logical.segments) put(sourceIndex(s.on[0]), s.extents)
  for (const index of free.keys()) put(index, left)
  return segments
}

/** What a logical volume loses. */
export function flattening(group: VolumeGroup, wanted: WantedLogical): PlanDifference | undefined {
  const { logical } = wanted
  const type = logical.segments.find(s => !['linear', 'striped'].includes(s.type))?.type ?? (logical.origin === undefined ? undefined : 'snapshot')
  if (type === undefined) return undefined
  const code: PlanDifferenceCode = type === 'thin' ? 'THIN_FLATTENED' : type === 'snapshot' ? 'SNAPSHOT_FLATTENED' : /^(?:raid|mirror)/.test(type) ? 'RAID_VOLUME_FLATTENED' : /cache/.test(type) ? 'CACHE_FLATTENED' : 'LAYOUT_FLATTENED'
  const name = `${group.name}/${logical.name}`
  return { code, subject: name, message: `Logical volume ${name} is linear instead of ${type}${logical.pool === undefined ? '' : ` in the pool ${logical.pool}`} and takes all of its ${String(extentsFor(wanted, group.extentSizeBytes) * group.extentSizeBytes)} bytes.` }
}
