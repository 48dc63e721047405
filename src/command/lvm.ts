/** Volume groups, physical and logical volumes: `vgs`, `pvs`, `lvs --segments`. Reads only. */
import { z } from 'zod'
import type { LogicalVolume, PhysicalVolume, Segment, VolumeGroup } from '../domain/layer.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 60_000
const COLUMNS = {
  vgs: 'vg_name,vg_uuid,vg_fmt,vg_attr,vg_extent_size,vg_extent_count,vg_free_count,vg_tags',
  pvs: 'pv_name,pv_uuid,vg_uuid,pv_size,pe_start,pv_pe_count,pv_tags',
  lvs: 'vg_uuid,lv_name,lv_uuid,lv_size,lv_attr,lv_tags,segtype,stripes,stripesize,seg_start_pe,seg_size,devices,pool_lv,origin',
} as const
const SECTION = { vgs: 'vg', pvs: 'pv', lvs: 'seg' } as const

const count = z.string().regex(/^\d+$/).transform(Number).pipe(z.number().int().nonnegative())
const tags = z.string().transform(text => text.split(',').filter(tag => tag !== ''))
const Row = z.record(z.string(), z.string())
const Report = z.object({ report: z.array(z.record(z.string(), z.array(Row))) })
const GroupRow = z.object({ vg_name: z.string(), vg_uuid: z.string(), vg_fmt: z.string(), vg_attr: z.string(), vg_extent_size: count, vg_extent_count: count, vg_free_count: count, vg_tags: tags })
const PhysicalRow = z.object({ pv_name: z.string(), pv_uuid: z.string(), vg_uuid: z.string(), pv_size: count, pe_start: count, pv_pe_count: count, pv_tags: tags })
const SegmentRow = z.object({
  vg_uuid: z.string(), lv_name: z.string(), lv_uuid: z.string(), lv_size: count, lv_attr: z.string(), lv_tags: tags, segtype: z.string(),
  stripes: count, stripe_size: count, seg_start_pe: count, seg_size: count, devices: z.string(), pool_lv: z.string(), origin: z.string(),
})

/**
 * The volume groups that this machine sees. `on` of physical volumes and segments is the path of a node below /dev, as LVM names it.
 * @throws {AppError} TOOL_OUTPUT when the answer has another form; TOOL_MISSING without lvm2; what Runner throws
 */
export async function listVolumeGroups(runner: Runner, signal: AbortSignal): Promise<VolumeGroup[]> {
  const groups = parse(GroupRow, await report(runner, 'vgs', signal))
  if (groups.length === 0) return []
  const physical = parse(PhysicalRow, await report(runner, 'pvs', signal))
  const segments = parse(SegmentRow, await report(runner, 'lvs', signal))
  return groups.map(group => ({
    name: group.vg_name, uuid: group.vg_uuid, format: group.vg_fmt, extentSizeBytes: group.vg_extent_size, extents: group.vg_extent_count, freeExtents: group.vg_free_count, tags: group.vg_tags,
    shared: /^.{5}[cs]/.test(group.vg_attr), partial: /^.{3}p/.test(group.vg_attr),
    physicalVolumes: physical.filter(p => p.vg_uuid === group.vg_uuid).map((p): PhysicalVolume => ({
      uuid: p.pv_uuid, on: p.pv_name.startsWith('/dev/') ? p.pv_name : '', sizeBytes: p.pv_size, dataStartBytes: p.pe_start, extents: p.pv_pe_count, tags: p.pv_tags,
    })),
    logicalVolumes: logicalVolumes(segments.filter(s => s.vg_uuid === group.vg_uuid), group.vg_extent_size),
  }))
}

function logicalVolumes(rows: readonly z.infer<typeof SegmentRow>[], extentSizeBytes: number): LogicalVolume[] {
  const found = new Map<string, LogicalVolume>()
  for (const row of rows.toSorted((a, b) => a.seg_start_pe - b.seg_start_pe)) {
    const volume = found.get(row.lv_uuid) ?? {
      name: row.lv_name, uuid: row.lv_uuid, sizeBytes: row.lv_size, tags: row.lv_tags, segments: [],
      ...(row.pool_lv === '' ? {} : { pool: row.pool_lv }), ...(row.origin === '' ? {} : { origin: row.origin }),
      ...(row.lv_attr[1] === 'r' ? { readOnly: true as const } : {}), ...(row.lv_attr[9] === 'k' ? { activationSkip: true as const } : {}), // "-ri-a----k", see lvs(8)
    }
    volume.segments.push({ type: row.segtype, extents: Math.ceil(row.seg_size / extentSizeBytes), stripes: row.stripes, stripeSizeBytes: row.stripe_size, on: devices(row) })
    found.set(row.lv_uuid, volume)
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** "/dev/sda(0),/dev/sdb(0)"; those of a mirror are hidden logical volumes and tell nothing. */
function devices({ devices: text }: { devices: string }): Segment['on'] {
  return text.split(/\(\d+\),?/).filter(device => device.startsWith('/dev/'))
}

/** Tools before 2.02.158 know no JSON; then the names of the columns stand before the values. */
async function report(runner: Runner, tool: 'vgs' | 'pvs' | 'lvs', signal: AbortSignal): Promise<unknown[]> {
  const rest = [...tool === 'lvs' ? ['--segments'] : [], '--units', 'b', '--nosuffix', '-o', COLUMNS[tool]]
  try {
    const { stdout } = await runner.run(tool, ['--reportformat', 'json', ...rest], { signal, timeoutMs: TIMEOUT_MS })
    return json(stdout, tool)
  } catch (error) {
    if (!isAppError(error, 'TOOL_FAILED')) throw error
    const { stdout } = await runner.run(tool, ['--noheadings', '--nameprefixes', ...rest], { signal, timeoutMs: TIMEOUT_MS })
    return stdout.split('\n').filter(line => line.includes('LVM2_')).map(prefixed)
  }
}

function json(stdout: string, tool: keyof typeof SECTION): unknown[] {
  try {
    return Report.parse(JSON.parse(stdout)).report.flatMap(part => part[SECTION[tool]] ?? [])
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read the report of ${tool}`, { cause: error })
  }
}

/** "LVM2_VG_NAME='vg0' LVM2_VG_TAGS=''" */
function prefixed(line: string): Record<string, string> {
  return Object.fromEntries([...line.matchAll(/LVM2_([A-Z_]+)='([^']*)'/g)].map(([, key = '', value = '']) => [key.toLowerCase(), value]))
}

function parse<T>(schema: z.ZodType<T>, rows: readonly unknown[]): T[] {
  try {
    return rows.map(row => schema.parse(row))
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', 'cannot read the report of LVM', { cause: error })
  }
}

/** The name of the map of a logical volume: dashes of the two names are doubled. */
export function mapNameOf(group: string, volume: string): string {
  return [group, volume].map(name => name.replaceAll('-', '--')).join('-')
}

/** What the kernel takes. */
export const LONGEST_MAP_NAME = 127
