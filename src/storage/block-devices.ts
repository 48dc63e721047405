/** Block devices as sysfs shows them. */
import { open, readFile, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { AppError } from '../errors/app-error.ts'

const SYSFS_SECTOR = 512 // sysfs counts in these whatever the disk's own sector is
/** What of a device is looked at to call it blank, at its beginning and at its end. */
export const EDGE_BYTES = 1 << 20

export interface KernelPartition { device: string, number: number, startBytes: number, sizeBytes: number }

/** Size of the device in bytes. @throws {AppError} DISK_NOT_FOUND */
export async function deviceSizeBytes(device: string): Promise<number> {
  return Number(await attribute(device, 'size')) * SYSFS_SECTOR
}

/** Logical sector size of a whole disk in bytes. @throws {AppError} DISK_NOT_FOUND */
export async function sectorSizeBytes(disk: string): Promise<number> {
  return Number(await attribute(disk, 'queue/logical_block_size'))
}

/** "major:minor" of a device. @throws {AppError} DISK_NOT_FOUND */
export async function deviceNumber(device: string): Promise<string> {
  return attribute(device, 'dev')
}

/** The partitions that the kernel knows on `disk`, by number. @throws {AppError} DISK_NOT_FOUND */
export async function kernelPartitions(disk: string): Promise<readonly KernelPartition[]> {
  const name = basename(disk)
  const found: KernelPartition[] = []
  for (const entry of await entries(`/sys/class/block/${name}/`, disk)) {
    if (!entry.startsWith(name)) continue
    const device = `/dev/${entry}`
    const number = Number(await attribute(device, 'partition'))
    found.push({ device, number, startBytes: Number(await attribute(device, 'start')) * SYSFS_SECTOR, sizeBytes: await deviceSizeBytes(device) })
  }
  return found.sort((a, b) => a.number - b.number)
}

/** The whole disks on which `devices` (disks, partitions or maps) lie, each once; what is not in the machine any more is left out. */
export async function disksOf(devices: readonly string[]): Promise<readonly string[]> {
  const disks = new Set<string>()
  for (const device of devices) {
    if (!await hasNode(device)) continue
    const place = await realpath(`/sys/class/block/${basename(device)}`)
    const below = await readdir(`${place}/slaves`).catch(() => [])
    const isPartition = await readFile(`${place}/partition`, 'utf8').then(() => true, () => false)
    const found = below.length > 0 ? await disksOf(below.map(name => `/dev/${name}`)) : [`/dev/${basename(isPartition ? dirname(place) : place)}`]
    for (const disk of found) disks.add(disk)
  }
  return [...disks]
}

/** Whether there is a node for the device in /dev: it comes a moment after the kernel knows the device. */
export async function hasNode(device: string): Promise<boolean> {
  try {
    return (await stat(device)).isBlockDevice()
  } catch {
    return false // not there yet
  }
}

/** Blank: the first and the last MiB are zeros (and no signature was found anywhere). */
export async function isBlank(device: string, sizeBytes: number): Promise<boolean> {
  await using handle = await open(device, 'r')
  const buffer = Buffer.alloc(Math.min(EDGE_BYTES, sizeBytes))
  for (const position of [0, sizeBytes - buffer.length]) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
    if (buffer.subarray(0, bytesRead).some(byte => byte !== 0)) return false
  }
  return true
}

async function attribute(device: string, name: string): Promise<string> {
  try {
    return (await readFile(`/sys/class/block/${basename(device)}/${name}`, 'utf8')).trim()
  } catch (error) {
    throw new AppError('DISK_NOT_FOUND', `${device} is not in this machine (no ${name} in sysfs)`, { cause: error })
  }
}

async function entries(directory: string, device: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    throw new AppError('DISK_NOT_FOUND', `${device} is not in this machine`, { cause: error })
  }
}
