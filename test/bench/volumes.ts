/**
 * A source and a target volume for one measurement: loop-mounted file systems of the same kind, on images in memory, so that what is
 * measured is the copying and not this machine's disk; or on the disk when that is wanted. The target is made anew for each copy, so that
 * every copy begins with the same file system.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PROJECT } from '../lab/paths.ts'
import { attachLoop, detachLoop, type LoopDevice } from '../lab/loop-devices.ts'
import { waitUntil } from '../lab/process-identity.ts'
import { tool } from '../lab/tool.ts'

export type FileSystemType = 'ext4' | 'xfs'

export interface VolumeOptions { type: FileSystemType, sizeMiB: number, files: number, on: 'memory' | 'disk' }

export interface Volumes extends AsyncDisposable {
  /** mount point of the source */
  readonly source: string
  /** a folder for other things, outside of both volumes */
  readonly scratch: string
  /** Makes and mounts a new, empty target; gives its mount point. */
  freshTarget(): Promise<string>
}

/** Needs root and leaves nothing behind. */
export async function openVolumes(options: VolumeOptions): Promise<Volumes> {
  const stack = new AsyncDisposableStack()
  try {
    const folder = join(PROJECT, '.lab', 'bench')
    await mkdir(folder, { recursive: true })
    const scratch = await mkdtemp(join(folder, 'volumes-'))
    stack.defer(async () => { await rm(scratch, { recursive: true, force: true }) })
    const images = join(scratch, 'images')
    await mkdir(images)
    if (options.on === 'memory') {
      await tool('mount', ['-t', 'tmpfs', '-o', 'size=100%', 'landfall-bench', images])
      stack.defer(async () => { await tool('umount', [images]) })
    }
    const source = await makeVolume(scratch, images, 'source', options)
    stack.defer(async () => { await source[Symbol.asyncDispose]() })
    let target: Volume | undefined
    stack.defer(async () => { await target?.[Symbol.asyncDispose]() })
    const volumes = stack.move()
    return {
      source: source.mountPoint, scratch,
      freshTarget: async () => {
        await target?.[Symbol.asyncDispose]()
        target = undefined
        target = await makeVolume(scratch, images, 'target', options)
        return target.mountPoint
      },
      [Symbol.asyncDispose]: async () => { await volumes.disposeAsync() },
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

interface Volume extends AsyncDisposable { readonly mountPoint: string }

async function makeVolume(scratch: string, images: string, name: string, { type, sizeMiB, files }: VolumeOptions): Promise<Volume> {
  const image = join(images, name)
  const mountPoint = join(scratch, name)
  await mkdir(mountPoint, { recursive: true })
  await rm(image, { force: true })
  await tool('truncate', ['-s', `${String(sizeMiB)}M`, image])
  const loop: LoopDevice = await attachLoop(image)
  const release = async (): Promise<void> => {
    await detachLoop(loop)
    await rm(image, { force: true })
  }
  try {
    // all of it made now: nothing goes on initialising the file system while it is measured
    if (type === 'ext4') await tool('mkfs.ext4', ['-q', '-F', '-N', String(files + 100_000), '-E', 'lazy_itable_init=0,lazy_journal_init=0', loop.device])
    else await tool('mkfs.xfs', ['-q', '-f', loop.device])
    await tool('mount', ['-o', 'noatime', loop.device, mountPoint])
  } catch (error) {
    await release()
    throw error
  }
  return {
    mountPoint,
    [Symbol.asyncDispose]: async () => {
      // a server that has answered may still stand in it for a moment
      await waitUntil(`${mountPoint} to be unmounted`, 20_000, async () => (await tool('umount', [mountPoint], { allowedExitCodes: [32] })).exitCode === 0)
      await release()
    },
  }
}
