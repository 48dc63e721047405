/** Block devices as the kernel has them: `lsblk -J -b -l`. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Runner } from './runner.ts'

/** One block device. With several parents (RAID, multipath) it is one record that names them all. */
export interface BlockDevice {
  /** kernel name: sda1, dm-0, cciss/c0d0p1 */
  kernelName: string
  /** the map's name of a device-mapper device (vg0-root, mpatha); else the kernel's */
  name: string
  /** path of its node below /dev */
  path: string
  /** disk, part, loop, rom, lvm, crypt, raid1, mpath ... */
  type: string
  /** "8:1" */
  majorMinor: string
  sizeBytes: number
  sectorSizeBytes: number
  removable: boolean
  readOnly: boolean
  /** kernel names of the devices that it lies on */
  parents: readonly string[]
}

// util-linux before 2.33 writes numbers and flags as text
const size = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).pipe(z.number().int().nonnegative())
const flag = z.union([z.boolean(), z.enum(['0', '1']).transform(v => v === '1')])
const Listing = z.object({
  blockdevices: z.array(z.object({
    kname: z.string(), name: z.string().optional(), pkname: z.string().nullable(), 'maj:min': z.string(), type: z.string(),
    size, 'log-sec': size, rm: flag, ro: flag,
  })),
})

const TIMEOUT_MS = 30_000

/**
 * All block devices that have a size, parents before children.
 * @throws {AppError} TOOL_OUTPUT when the answer has another form; what Runner throws
 */
export async function listBlockDevices(runner: Runner, signal: AbortSignal): Promise<BlockDevice[]> {
  const { stdout } = await runner.run('lsblk', ['-J', '-b', '-l', '-o', 'KNAME,NAME,PKNAME,MAJ:MIN,TYPE,SIZE,LOG-SEC,RM,RO'], { signal, timeoutMs: TIMEOUT_MS })
  const devices = new Map<string, BlockDevice>()
  for (const row of parse(stdout).blockdevices) {
    const known = devices.get(row.kname)
    const parents = row.pkname === null ? [] : [row.pkname]
    devices.set(row.kname, {
      kernelName: row.kname, name: row.name ?? row.kname, path: `/dev/${row.kname.replaceAll('!', '/')}`, type: row.type, majorMinor: row['maj:min'].trim(),
      sizeBytes: row.size, sectorSizeBytes: row['log-sec'] === 0 ? 512 : row['log-sec'], removable: row.rm, readOnly: row.ro,
      parents: [...new Set([...known?.parents ?? [], ...parents])],
    })
  }
  return [...devices.values()].filter(d => d.sizeBytes > 0)
}

function parse(stdout: string): z.infer<typeof Listing> {
  try {
    return Listing.parse(JSON.parse(stdout))
  } catch (error) {
    throw new AppError('TOOL_OUTPUT', 'cannot read the list of block devices of lsblk', { cause: error })
  }
}
