/** Checks the file systems of a replica that are mounted no more, read-only: what the source's users get must be sound. */
import { probeDevice } from '../command/blkid.ts'
import { checkBtrfs, checkExt, checkFat, checkXfs, repairFat, type CheckResult } from '../command/fsck.ts'
import { isAppError } from '../errors/app-error.ts'
import { storageLog } from '../logging/logger.ts'
import { deviceSizeBytes, kernelPartitions } from './block-devices.ts'
import { mapsAbove, readDeviceMaps } from './device-maps.ts'
import { replayLog, type MountParts } from './mount-volumes.ts'

export interface ChecksOptions {
  /** they were unmounted by nobody: the appliance itself was off, and their logs are replayed first */
  crashed: boolean
  /** all checks together may take so long; undefined: as long as they like */
  withinMs: number | undefined
}

export interface Checked {
  /** what is wrong, for each file system that did not pass */
  damaged: readonly string[]
  /** those whose check did not end in time */
  unchecked: readonly string[]
}

const LONGEST_MS = 3_600_000

/** The smallest first: where time is short, most are checked. @param disks whole disks @throws {AppError} what Runner throws */
export async function checkFileSystems(parts: MountParts, jobId: string, disks: readonly string[], { crashed, withinMs }: ChecksOptions, signal: AbortSignal): Promise<Checked> {
  const { runner, clock } = parts
  const until = withinMs === undefined ? undefined : clock.now() + withinMs
  const [damaged, unchecked]: [string[], string[]] = [[], []]
  for (const device of await smallestFirst(await devicesOn(disks))) {
    const { type } = await probeDevice(runner, device, signal)
    if (!/^(ext[234]|xfs|btrfs|vfat)$/.test(type)) continue
    if (crashed && type === 'vfat') await repairFat(runner, device, signal)
    else if (crashed) await replayLog(parts, jobId, device, type, signal)
    const result = await checkUntil(until, type, parts, device, signal)
    storageLog.info({ jobId, device, type, clean: result?.clean }, 'file system of the replica checked')
    if (result === undefined) unchecked.push(`${type} on ${device}`)
    else if (!result.clean) damaged.push(`${type} on ${device} has errors: ${result.output}`)
  }
  return { damaged, unchecked }
}

async function devicesOn(disks: readonly string[]): Promise<string[]> {
  const devices: string[] = []
  for (const disk of disks) {
    const partitions = await kernelPartitions(disk)
    devices.push(...partitions.length === 0 ? [disk] : partitions.map(p => p.device))
  }
  // each once, on however many disks it lies
  return [...devices, ...mapsAbove(await readDeviceMaps(), disks).map(m => m.device)]
}

async function smallestFirst(devices: readonly string[]): Promise<readonly string[]> {
  const sized = await Promise.all(devices.map(async device => ({ device, sizeBytes: await deviceSizeBytes(device) })))
  return sized.sort((a, b) => a.sizeBytes - b.sizeBytes).map(({ device }) => device)
}

/** Undefined when it did not end by then. */
async function checkUntil(until: number | undefined, type: string, { runner, clock }: MountParts, device: string, signal: AbortSignal): Promise<CheckResult | undefined> {
  const timeoutMs = until === undefined ? LONGEST_MS : until - clock.now()
  if (timeoutMs <= 0) return undefined
  try {
    switch (type) {
      case 'xfs': return await checkXfs(runner, device, timeoutMs, signal)
      case 'btrfs': return await checkBtrfs(runner, device, timeoutMs, signal)
      case 'vfat': return await checkFat(runner, device, timeoutMs, signal)
      default: return await checkExt(runner, device, timeoutMs, signal)
    }
  } catch (error) {
    if (until !== undefined && isAppError(error, 'TOOL_TIMEOUT')) return undefined
    throw error
  }
}
