/**
 * A layer over the mounted volumes of a replica, on which the boot fix-ups run: an overlay for each (a copy of FAT), whose changes lie in a directory of ours and vanish with
 * it, unless they are brought to the volumes before (`bring-layer.ts`). Each overlay names the device of its volume as its source, because boot loaders look there for the device of a path.
 */
import { chmod, chown, cp, lstat, mkdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../clock/clock.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { mountDevice, mountVirtual } from '../posix/mounting.ts'
import { mountBtrfs } from '../storage/mount-btrfs.ts'
import { unmountBelow } from '../storage/mount-volumes.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import type { Layered } from './bring-layer.ts'
import { flaggedFiles, unlock } from './flagged-files.ts'
import { volumeHolding } from './volume-holding.ts'

/** No cleverness of overlays that would be kept in attributes of the layer. */
const OPTIONS = ['index=off', 'metacopy=off', 'redirect_dir=off', 'nosuid', 'nodev', 'noexec']
const UNMOUNT_MS = 120_000
const MODE = 0o7777
const UPPER = 'upper'

export class FixUpLayer implements AsyncDisposable {
  /** the same volumes, as the layer shows them */
  readonly mounted: readonly MountedVolume[]
  readonly #directory: string
  readonly #below: readonly MountedVolume[]

  private constructor(directory: string, mounted: readonly MountedVolume[], below: readonly MountedVolume[]) {
    this.#directory = directory
    this.mounted = mounted
    this.#below = below
  }

  /**
   * What an earlier one left in `directory` is taken away first.
   * @param directory of ours alone, on a file system that can be the upper part of an overlay; else the layer lies in memory
   * @throws {AppError} MOUNT_FAILED when the kernel makes no overlay here
   */
  static async make(directory: string, below: readonly MountedVolume[], signal: AbortSignal): Promise<FixUpLayer> {
    await clearLayer(directory)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    try {
      return new FixUpLayer(directory, await layers(directory, below, signal), below)
    } catch (error) {
      await clearLayer(directory)
      if (signal.aborted || !isAppError(error, 'MOUNT_FAILED')) throw error
    }
    // a directory that lies in an overlay itself (a container) cannot be the upper part of another one
    await mkdir(directory, { recursive: true, mode: 0o700 })
    try {
      await mountVirtual('tmpfs', directory, ['mode=0700', 'nosuid', 'nodev'])
      return new FixUpLayer(directory, await layers(directory, below, signal), below)
    } catch (error) {
      await clearLayer(directory)
      throw error
    }
  }

  /** What lies over what. */
  get layered(): readonly Layered[] {
    return this.#below.map((volume, i) => {
      const isCopy = volume.volume.volume.fileSystem.type === 'vfat'
      return { volume, below: volume.mountPoint, view: this.mounted[i]?.mountPoint ?? '', ...isCopy ? {} : { upper: join(this.#directory, String(i), UPPER, subvolumeOf(volume)) } }
    })
  }

  /** Room of the replica itself at a path: an overlay tells that of its layer. */
  async space(path: string): Promise<{ freeBytes: number, freeInodes: number }> {
    const at = volumeHolding(this.#below, path)
    if (at === undefined) throw new AppError('VOLUME_LAYOUT', `no volume of the job holds ${path}`)
    const s = await statfs(at.volume.mountPoint)
    return { freeBytes: s.bavail * s.bsize, freeInodes: s.files === 0 ? -1 : s.ffree }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await clearLayer(this.#directory)
  }
}

/** Unmounts and removes a layer, also one that a crash left. Fine when there is none. */
export async function clearLayer(directory: string): Promise<void> {
  await unmountBelow({ clock: systemClock }, directory, AbortSignal.timeout(UNMOUNT_MS))
  await rm(directory, { recursive: true, force: true })
}

async function layers(directory: string, below: readonly MountedVolume[], signal: AbortSignal): Promise<readonly MountedVolume[]> {
  const made: MountedVolume[] = []
  for (const [i, volume] of below.entries()) {
    const at = join(directory, String(i))
    const [upper, work, view] = [join(at, UPPER), join(at, 'work'), join(at, 'view')] as const
    const own = join(upper, subvolumeOf(volume))
    for (const path of [own, work, view]) await mkdir(path, { recursive: true, mode: 0o700 })
    if (volume.volume.volume.fileSystem.type === 'vfat') {
      // its names have no case, which no overlay can stand; an EFI system partition is small
      await cp(volume.mountPoint, view, { recursive: true, preserveTimestamps: true })
      made.push({ ...volume, mountPoint: view })
      continue
    }
    // of the topmost directory the layer's own attributes count
    const root = await lstat(volume.mountPoint)
    await chown(own, root.uid, root.gid)
    await chmod(own, root.mode & MODE)
    const lower = subvolumeOf(volume) === '' ? volume.mountPoint : await mountTop(volume.device, at)
    if (/[,:\\]/.test(`${lower}${upper}`)) throw new AppError('VOLUME_LAYOUT', `${lower} has characters that no overlay can name`)
    await mountDevice(volume.device, view, 'overlay', [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`, ...OPTIONS])
    const shown = join(view, subvolumeOf(volume))
    await unlock(shown, await flaggedFiles(volume, signal)) // the overlay does not let them be written to either; on the volume they stay locked
    made.push({ ...volume, mountPoint: shown })
  }
  return made
}

function subvolumeOf({ volume }: MountedVolume): string {
  return volume.volume.fileSystem.type === 'btrfs' ? volume.volume.subvolume ?? '' : ''
}

/** All of a btrfs: boot loaders name what is in a subvolume from there, and find out by the directory of the file system that a mount shows. */
async function mountTop(device: string, at: string): Promise<string> {
  const top = join(at, 'top')
  await mkdir(top, { mode: 0o700 })
  await mountBtrfs(device, top, ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'subvolid=5'])
  return top
}
