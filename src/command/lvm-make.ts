/**
 * Makes and activates volume groups: `pvcreate`, `vgcfgrestore`, `vgchange`. Each command sees the named devices and no others, so that
 * groups of the same name on other disks of the appliance are never touched, and it neither reads nor writes what LVM keeps below /etc.
 */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 120_000
/** nothing is kept on the appliance; activation is ours alone; on small machines without udev nodes are made by LVM itself */
const CONFIG = 'backup{backup=0 archive=0} activation{monitoring=0} global{event_activation=0 use_lvmpolld=0} devices{scan_lvs=0 hints="none"}'

function only(devices: readonly string[]): readonly string[] {
  return ['--devices', devices.join(','), '--config', CONFIG]
}

/** Makes `device` the physical volume with this identifier, with its extents where the metadata in `file` say. @throws {AppError} what Runner throws */
export async function makePhysicalVolume(runner: Runner, device: string, uuid: string, file: string, signal: AbortSignal): Promise<void> {
  await runner.run('pvcreate', ['--yes', '--force', '--force', '--uuid', uuid, '--restorefile', file, '--zero', 'y', ...only([device]), '--', device], { signal, timeoutMs: TIMEOUT_MS })
}

/**
 * Writes the metadata in `file` to the physical volumes `devices`: also other ones to a group that is there, which gets a new name and new identifiers
 * so. It must not be active then. @throws {AppError} what Runner throws
 */
export async function restoreGroup(runner: Runner, name: string, file: string, devices: readonly string[], signal: AbortSignal): Promise<void> {
  await runner.run('vgcfgrestore', ['--yes', '--file', file, ...only(devices), '--', name], { signal, timeoutMs: TIMEOUT_MS })
}

/** Makes the kernel show the logical volumes of the group. @throws {AppError} what Runner throws */
export async function activateGroup(runner: Runner, name: string, devices: readonly string[], signal: AbortSignal): Promise<void> {
  await runner.run('vgchange', ['--activate', 'y', '--ignoreactivationskip', ...only(devices), '--', name], { signal, timeoutMs: TIMEOUT_MS })
}

const PhysicalReport = z.object({ report: z.array(z.object({ pv: z.array(z.object({ pv_uuid: z.string(), vg_uuid: z.string(), vg_name: z.string() })) })) })
const SegmentReport = z.object({ report: z.array(z.object({ seg: z.array(z.object({ lv_uuid: z.string(), lv_name: z.string(), seg_start_pe: z.string(), seg_size_pe: z.string(), stripe_size: z.string(), devices: z.string() })) })) })

/** What the physical volume on `device` is; undefined when it is none. @throws {AppError} TOOL_OUTPUT; what Runner throws */
export async function readPhysicalVolume(runner: Runner, device: string, signal: AbortSignal): Promise<{ uuid: string, groupUuid: string, groupName: string } | undefined> {
  const { stdout, exitCode } = await runner.run('pvs', ['--reportformat', 'json', '-o', 'pv_uuid,vg_uuid,vg_name', ...only([device]), '--', device], { signal, timeoutMs: TIMEOUT_MS, allowedExitCodes: [NOT_FOUND] })
  if (exitCode !== 0) return undefined
  const found = parsed(PhysicalReport, stdout, device).report[0]?.pv[0]
  return found === undefined ? undefined : { uuid: found.pv_uuid, groupUuid: found.vg_uuid, groupName: found.vg_name }
}

export interface FoundSegment { name: string, uuid: string, startExtent: number, extents: number, stripeSizeBytes: number, areas: readonly { device: string, startExtent: number }[] }

/** The segments of the group's logical volumes. @throws {AppError} TOOL_OUTPUT; what Runner throws */
export async function readSegments(runner: Runner, name: string, devices: readonly string[], signal: AbortSignal): Promise<readonly FoundSegment[]> {
  const { stdout } = await runner.run('lvs', ['--reportformat', 'json', '--segments', '--units', 'b', '--nosuffix', '-o', 'lv_uuid,lv_name,seg_start_pe,seg_size_pe,stripe_size,devices', ...only(devices), '--', name], { signal, timeoutMs: TIMEOUT_MS })
  return parsed(SegmentReport, stdout, name).report.flatMap(r => r.seg).map(s => ({
    name: s.lv_name, uuid: s.lv_uuid, startExtent: Number(s.seg_start_pe), extents: Number(s.seg_size_pe), stripeSizeBytes: Number(s.stripe_size),
    areas: [...s.devices.matchAll(/([^,()]+)\((\d+)\)/g)].map(([, device = '', start]) => ({ device, startExtent: Number(start) })),
  }))
}

const NOT_FOUND = 5

function parsed<T>(schema: z.ZodType<T>, text: string, what: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', `cannot read what LVM says about ${what}`, { cause: error })
  }
}
