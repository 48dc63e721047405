/** The images of the lab's guests, built once and kept: one root tree for all, the disks of sources, the disk of the appliance. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CACHE, IMAGE_SCRIPTS } from '../paths.ts'
import { tool } from '../tool.ts'
import { BUILD_TIMEOUT_MS, dropOld, exists, keyOf, once } from './image-cache.ts'
import type { Table } from './image.ts'

export interface GuestSourceLayout {
  layout: 'plain' | 'lvm'
  table: Table
  firmware: 'bios' | 'uefi'
  hostName: string
  /** of the bond; its network is a /24 */
  address: string
  /** first 8 hex digits of every identifier */
  prefix: string
}

/** A file system in an image. */
const ImageVolume = z.object({ mountPoint: z.string(), image: z.string(), offsetBytes: z.number(), sizeBytes: z.number(), type: z.enum(['ext4', 'xfs', 'btrfs', 'vfat']) })
export type ImageVolume = z.infer<typeof ImageVolume>

export interface GuestSourceDisks {
  /** image files, in the order in which the source has them */
  disks: readonly string[]
  volumes: readonly ImageVolume[]
  /** for UEFI: what the entry of its firmware starts; the firmware itself is not part of the disks */
  kernel?: { kernel: string, initramfs: string }
}

export interface ApplianceDisks { root: string, kernel: string, initramfs: string }

/** What the guests have beyond the root tree of the source that is none. */
const PACKAGES = ['lvm2', 'btrfs-progs', 'dosfstools', 'postgresql']
const SOURCE_SCRIPTS = ['root.sh', 'guest-disks.sh', 'guest-programs.sh', 'guest-load.sh', 'zoo.sh']
const APPLIANCE_SCRIPTS = ['root.sh', 'guest-appliance.sh', 'guest-programs.sh']
const DISKS = ['system.img', 'data.img', 'pool.img']

const rootPath = async (): Promise<string> => join(CACHE, `guest-root-${await keyOf(['root.sh'], PACKAGES.join())}.tar`)
const appliancePath = async (): Promise<string> => join(CACHE, `guest-appliance-${await keyOf(APPLIANCE_SCRIPTS, PACKAGES.join())}`)
const sourceKey = async (): Promise<string> => await keyOf(SOURCE_SCRIPTS, PACKAGES.join())

async function guestRoot(say: (line: string) => void, signal: AbortSignal): Promise<string> {
  await mkdir(CACHE, { recursive: true })
  await dropOld(['guest-'], [await rootPath(), await appliancePath(), join(CACHE, `guest-source-${await sourceKey()}`)])
  const root = await rootPath()
  await once(root, say, 'the Debian root tree of the guests, about two minutes', signal, async (temporary) => {
    await tool('bash', [join(IMAGE_SCRIPTS, 'root.sh'), temporary, ...PACKAGES], { timeoutMs: BUILD_TIMEOUT_MS, signal })
  })
  return root
}

/** Unpacks fresh copies of the source's disks into `directory`, building the images first where they are missing. */
export async function checkOutGuestSource(directory: string, o: GuestSourceLayout, say: (line: string) => void, signal: AbortSignal): Promise<GuestSourceDisks> {
  const variant = [o.layout, o.table, o.firmware, o.hostName, o.address, o.prefix]
  const packed = join(CACHE, `guest-source-${await sourceKey()}-${variant.join('-')}`)
  if (!await exists(packed)) {
    const root = await guestRoot(say, signal)
    await once(packed, say, `the disks of the source ${o.hostName} (${o.layout}, ${o.table}, ${o.firmware})`, signal, async (temporary) => {
      await mkdir(temporary)
      await tool('bash', [join(IMAGE_SCRIPTS, 'guest-disks.sh'), root, temporary, ...variant], { timeoutMs: BUILD_TIMEOUT_MS, signal })
      for (const disk of DISKS) await pack(join(temporary, disk), signal)
    })
  }
  const disks = await Promise.all(DISKS.map(async (disk) => {
    const file = join(directory, disk)
    await unpack(join(packed, disk), file, signal)
    return file
  }))
  return {
    disks, volumes: z.array(ImageVolume).parse(JSON.parse(await readFile(join(packed, 'volumes.json'), 'utf8'))),
    ...o.firmware === 'uefi' ? { kernel: { kernel: join(packed, 'kernel'), initramfs: join(packed, 'initramfs') } } : {},
  }
}

export async function checkOutAppliance(directory: string, say: (line: string) => void, signal: AbortSignal): Promise<ApplianceDisks> {
  const packed = await appliancePath()
  if (!await exists(packed)) {
    const tree = await guestRoot(say, signal)
    await once(packed, say, 'the disk of the appliance', signal, async (temporary) => {
      await mkdir(temporary)
      await tool('bash', [join(IMAGE_SCRIPTS, 'guest-appliance.sh'), tree, temporary], { timeoutMs: BUILD_TIMEOUT_MS, signal })
      await pack(join(temporary, 'root.img'), signal)
    })
  }
  const root = join(directory, 'appliance.img')
  await unpack(join(packed, 'root.img'), root, signal)
  return { root, kernel: join(packed, 'kernel'), initramfs: join(packed, 'initramfs') }
}

async function pack(file: string, signal: AbortSignal): Promise<void> {
  await tool('zstd', ['-q', '-1', '-T2', '--rm', file], { timeoutMs: BUILD_TIMEOUT_MS, signal })
}

async function unpack(file: string, to: string, signal: AbortSignal): Promise<void> {
  await tool('zstd', ['-q', '-d', '-f', '--sparse', `${file}.zst`, '-o', to], { timeoutMs: BUILD_TIMEOUT_MS, signal })
}
