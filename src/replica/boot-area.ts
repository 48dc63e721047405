/**
 * What a boot loader writes on the first disk outside of files: the sectors before the first partition and the BIOS boot partition; and, of GRUB legacy, the
 * blocks of its stages, which its shell writes below the file system. Kept before an installation, and put back when that did not become the replica's.
 */
import { copyFile, lstat, mkdir, open, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { setModified } from '../posix/mounting.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import { partitionDevice, type MountedVolume } from '../storage/volume-stack.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'

const RECORD = 'boot-area.json'
const BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
/** No boot loader's core is larger. */
const MAX_BYTES = 32 << 20
const BLOCK = 4096
const STAGES = /^(stage1|stage2|[a-z0-9_]+_stage1_5)$/

const Kept = z.object({
  version: z.literal(1),
  /** partition 0: the whole disk, from its first byte on */
  areas: z.array(z.object({ partition: z.number().int(), saved: z.string() })),
  stages: z.array(z.object({ index: z.number().int(), path: z.string(), saved: z.string() })),
})
type Kept = z.infer<typeof Kept>

/** @param disk the device of the first disk @param directory of ours */
export async function keepBootArea(plan: ReplicaPlan, disk: string, mounted: readonly MountedVolume[], directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const kept: Kept = { version: 1, areas: [], stages: [] }
  const [first] = plan.disks
  const save = async (partition: number, device: string, bytes: number): Promise<void> => {
    const saved = `area-${String(partition)}`
    await using from = await open(device, 'r')
    const { buffer, bytesRead } = await from.read(Buffer.alloc(Math.min(bytes, MAX_BYTES)), 0, undefined, 0)
    await using to = await open(join(directory, saved), 'w', 0o600)
    await to.writeFile(buffer.subarray(0, bytesRead))
    await to.sync()
    kept.areas.push({ partition, saved })
  }
  if (first !== undefined && first.table !== 'none' && first.partitions.length > 0) {
    await save(0, disk, Math.min(...first.partitions.map(p => p.startBytes)))
    for (const p of first.partitions) if (p.type.toLowerCase() === BIOS_BOOT) await save(p.number, partitionDevice(disk, p.number), p.sizeBytes)
  }
  for (const volume of mounted) {
    const folder = ({ '/boot': 'grub', '/': 'boot/grub' } as Readonly<Record<string, string>>)[volume.volume.volume.mountPoint ?? '']
    if (folder === undefined || !await isDirectory(volume.mountPoint, folder)) continue
    for (const name of (await readdir(join(volume.mountPoint, folder))).filter(n => STAGES.test(n))) {
      const path = join(folder, name)
      if (!(await lstat(join(volume.mountPoint, path))).isFile()) continue
      const saved = `stage-${String(kept.stages.length)}`
      await copyFile(join(volume.mountPoint, path), join(directory, saved))
      kept.stages.push({ index: volume.volume.index, path, saved })
    }
  }
  await writeFileAtomically(join(directory, RECORD), JSON.stringify(kept))
}

/** Writes what differs, and nothing else; nothing when nothing was kept. @returns whether something was kept */
export async function putBootAreaBack(disk: string, mounted: readonly MountedVolume[], directory: string): Promise<boolean> {
  const text = await readFile(join(directory, RECORD), 'utf8').catch(() => undefined)
  if (text === undefined) return false
  const { areas, stages } = Kept.parse(JSON.parse(text))
  for (const { partition, saved } of areas) await rewrite(partitionDevice(disk, partition), await readFile(join(directory, saved)))
  for (const { index, path, saved } of stages) {
    const volume = mounted.find(m => m.volume.index === index)
    const at = join(volume?.mountPoint ?? '', path)
    if (volume === undefined || !(await lstat(at).catch(() => undefined))?.isFile()) continue
    const { mtimeNs } = await lstat(at, { bigint: true })
    if (await rewrite(at, await readFile(join(directory, saved)))) await setModified(at, mtimeNs)
  }
  return true
}

/** @returns whether a block differed */
async function rewrite(path: string, wanted: Buffer): Promise<boolean> {
  await using file = await open(path, 'r+')
  const is = Buffer.alloc(wanted.length)
  await file.read(is, 0, is.length, 0)
  let wrote = false
  for (let at = 0; at < wanted.length; at += BLOCK) {
    const block = wanted.subarray(at, at + BLOCK)
    if (block.equals(is.subarray(at, at + BLOCK))) continue
    await file.write(block, 0, block.length, at)
    wrote = true
  }
  if (wrote) await file.sync()
  return wrote
}

async function isDirectory(root: string, folder: string): Promise<boolean> {
  let at = root
  for (const step of folder.split('/')) {
    at = join(at, step)
    if (!(await lstat(at).catch(() => undefined))?.isDirectory()) return false
  }
  return true
}
