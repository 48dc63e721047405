/** Is what the appliance handed over what the source was when it went off? Compares and checks the disk images of both, none of which is in use any more. */
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { compareViews, emptyComparison, type Comparison } from '../compare.ts'
import type { ImageVolume } from '../image/guest-image.ts'
import { withLoops, type Place } from '../places.ts'
import type { RunDirectory } from '../run-directory.ts'
import { tool } from '../tool.ts'
import { extractFat } from './fat.ts'
import { fileSystemsOf, type FoundFileSystem } from './image-places.ts'

export interface ImageCheck { mountPoint: string, type: string, clean: boolean, output: string }

const CHECKS: Readonly<Record<ImageVolume['type'], readonly string[]>> = { ext4: ['e2fsck', '-f', '-n'], xfs: ['xfs_repair', '-n'], btrfs: ['btrfs', 'check', '--readonly'], vfat: ['fsck.vfat', '-n'] }
const CHECK_MS = 300_000
/** of what a check says */
const MAX_OUTPUT = 1000

/** Each volume of the source with the file system on the replica that has its UUID. @throws {Error} when the replica has none */
export async function pairVolumes(sourceDirectory: string, volumes: readonly ImageVolume[], replicaDisks: readonly string[]): Promise<{ volume: ImageVolume, source: Place, replica: FoundFileSystem }[]> {
  const replicas = await fileSystemsOf(replicaDisks)
  const sources = await fileSystemsOf([...new Set(volumes.map(v => join(sourceDirectory, v.image)))])
  return volumes.map((volume) => {
    const source = { file: join(sourceDirectory, volume.image), offsetBytes: volume.offsetBytes, sizeBytes: volume.sizeBytes }
    const uuid = sources.find(s => s.file === source.file && s.offsetBytes === source.offsetBytes)?.uuid
    const replica = replicas.find(r => r.uuid === uuid && r.type === volume.type)
    if (uuid === undefined || replica === undefined) throw new Error(`the replica has no ${volume.type} with the UUID of ${volume.mountPoint} (${uuid ?? 'unknown'})`)
    return { volume, source, replica }
  })
}

let before: Promise<unknown> = Promise.resolve()

/** One after the other: clones that were migrated at once have file systems with the same identifiers. @param changedOnPurpose absolute paths of the files that the cutover changed */
export async function compareImages(run: RunDirectory, pairs: Awaited<ReturnType<typeof pairVolumes>>, changedOnPurpose: readonly string[]): Promise<Comparison> {
  const mine = before.then(async () => await compareOne(run, pairs, changedOnPurpose))
  before = mine.catch(() => undefined) // its own caller hears of a failure
  return await mine
}

async function compareOne(run: RunDirectory, pairs: Awaited<ReturnType<typeof pairVolumes>>, changedOnPurpose: readonly string[]): Promise<Comparison> {
  const result = await emptyComparison()
  for (const { volume, source, replica } of pairs) {
    // the kernel takes two devices with one btrfs for the same: the source's copy gets another identifier
    const copy = volume.type === 'btrfs' ? await copyWithOtherId(run, source) : undefined
    const views = [join(run.path, 'compare-source'), join(run.path, 'compare-replica')] as const
    if (volume.type === 'vfat') {
      await extractFat(source, views[0])
      await extractFat(replica, views[1])
      await compareViews(result, volume.mountPoint, views[0], views[1], changedOnPurpose)
      for (const view of views) await rm(view, { recursive: true })
      continue
    }
    // nothing is replayed and nothing written
    const options = { ext4: 'ro,noload', xfs: 'ro,norecovery,nouuid', btrfs: 'ro' }[volume.type]
    await withLoops([copy ?? source, replica], async (devices) => {
      for (const [i, view] of views.entries()) {
        await mkdir(view, { recursive: true })
        await tool('mount', ['-t', volume.type, '-o', options, devices[i] ?? '', view])
      }
      try {
        await compareViews(result, volume.mountPoint, views[0], views[1], changedOnPurpose)
      } finally {
        for (const view of views) await tool('umount', [view], { allowedExitCodes: [32] })
      }
    })
    for (const view of views) await rmdir(view)
    if (copy !== undefined) await rm(copy.file)
  }
  result.equal = result.differences.length === 0
  return result
}

/** fsck of each file system on the replica's disks. */
export async function checkFileSystems(pairs: Awaited<ReturnType<typeof pairVolumes>>): Promise<ImageCheck[]> {
  return await Promise.all(pairs.map(async ({ volume: { mountPoint, type }, replica }) => await withLoops([replica], async ([device = '']) => {
    const [name = '', ...args] = CHECKS[type]
    const { exitCode, stdout, stderr } = await tool(name, [...args, device], { allowedExitCodes: [1, 2, 4, 8, 12], timeoutMs: CHECK_MS })
    return { mountPoint, type, clean: exitCode === 0, output: exitCode === 0 ? '' : `${stdout}${stderr}`.slice(-MAX_OUTPUT) }
  })))
}

async function copyWithOtherId(run: RunDirectory, { file, offsetBytes, sizeBytes }: Place): Promise<Place> {
  const copy = join(run.path, 'compare-copy.img')
  await tool('dd', [`if=${file}`, `of=${copy}`, 'bs=1M', `skip=${String(offsetBytes)}`, `count=${String(sizeBytes)}`, 'iflag=skip_bytes,count_bytes', 'conv=sparse', 'status=none'])
  await tool('btrfstune', ['-f', '-m', copy])
  return { file: copy, offsetBytes: 0, sizeBytes }
}
