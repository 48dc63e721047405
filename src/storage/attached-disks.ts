/**
 * How the UUID of a virtual disk becomes a block device. vSphere answers a backing UUID when a disk is attached; the guest reads the same
 * 32 hex digits as the disk's serial (VPD page 0x80) and, on ESX, behind "naa." in its wwid. Never by order or size.
 */
import { readFile, readdir, readlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import type { Clock } from '../clock/clock.ts'
import { hasNode } from './block-devices.ts'

const WAIT_MS = 60_000
const PAUSE_MS = 250
const VPD_HEADER_BYTES = 4

export interface DiskFinder {
  /** The device of the disk with this UUID, or undefined while there is none. */
  find(diskUuid: string): Promise<string | undefined>
}

/** Finds disks by what the kernel read from them. @param sysBlock /sys/block, or a copy of it in tests */
export function disksBySerial(sysBlock = '/sys/block'): DiskFinder {
  return {
    find: async diskUuid => {
      for (const name of await readdir(sysBlock)) {
        if ((await identities(`${sysBlock}/${name}`)).includes(diskUuid)) return `/dev/${name}`
      }
      return undefined
    },
  }
}

/** Finds disks by links: `<directory>/<32 hex digits>` points at the device. The lab presents its disks so. */
export function disksByLink(directory: string): DiskFinder {
  return {
    find: async diskUuid => {
      const link = `${directory}/${diskUuid}`
      const target = await readlink(link).catch(() => undefined)
      return target === undefined ? undefined : resolve(dirname(link), target)
    },
  }
}

/**
 * Waits until the disk is there.
 * @param diskUuid 32 hex digits; anything else is refused, because an empty one would match disks without a serial
 * @throws {AppError} DISK_NOT_FOUND after 60 s
 */
export async function waitForDisk(finder: DiskFinder, diskUuid: string, clock: Clock, signal: AbortSignal): Promise<string> {
  const wanted = diskUuid.toLowerCase()
  if (!/^[0-9a-f]{32}$/.test(wanted)) throw new AppError('DISK_NOT_FOUND', `"${diskUuid}" is no disk UUID of 32 hex digits: the disk is not attached`)
  const deadline = clock.now() + WAIT_MS
  for (;;) {
    signal.throwIfAborted()
    const device = await finder.find(wanted)
    if (device !== undefined && await hasNode(device)) return device
    if (clock.now() >= deadline) throw new AppError('DISK_NOT_FOUND', `the disk with UUID ${wanted} did not appear in the appliance within ${String(WAIT_MS / 1000)} s`)
    await clock.sleep(PAUSE_MS, signal)
  }
}

async function identities(block: string): Promise<readonly string[]> {
  const vpd80 = await readFile(`${block}/device/vpd_pg80`).catch(() => Buffer.alloc(0))
  const wwid = await readFile(`${block}/device/wwid`, 'latin1').catch(() => '')
  return [vpd80.subarray(VPD_HEADER_BYTES).toString('latin1'), wwid.replace(/^naa\./, '')].map(id => id.toLowerCase().replace(/[^0-9a-z]/g, ''))
}
