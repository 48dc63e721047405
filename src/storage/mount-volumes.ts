/**
 * Where the volumes of a job are mounted. Everything lies below one small tmpfs of the job, mode 0700, from which nothing propagates, and which
 * is read-only except while a mount point is made: where a volume is missing, nothing can be written by mistake, and when the tmpfs is gone,
 * nothing is left. Volumes lie side by side (`volume-<index>`), so that no path of the source can lead from one into another.
 */
import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock/clock.ts'
import { repairFat } from '../command/fsck.ts'
import type { Runner } from '../command/runner.ts'
import type { PlannedVolume } from '../domain/replica.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { mountDevice, mountVirtual, remountBind, unmount } from '../posix/mounting.ts'
import { mountAt, mountsBelow, type MountEntry } from '../posix/mount-table.ts'
import { deviceNumber } from './block-devices.ts'
import { holdsFileSystem } from './make-filesystem.ts'
import { mountBtrfs, showsBtrfs } from './mount-btrfs.ts'
import { volumeIdOf, type MountedVolume } from './volume-stack.ts'

export interface MountParts { runner: Runner, clock: Clock, stateDirectory: string }

const BASE_OPTIONS = ['mode=0700', 'size=1m', 'nosuid', 'nodev', 'noexec']
/** noatime: reading the replica to compare it must not change it. */
const VOLUME_OPTIONS = ['rw', 'nosuid', 'nodev', 'noexec', 'noatime']
const BUSY_TRIES = 8
const BUSY_PAUSE_MS = 100

/** The place of a job. @throws {AppError} REQUEST_INVALID when the id could lead elsewhere */
export function placeOf(stateDirectory: string, jobId: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(jobId)) throw new AppError('REQUEST_INVALID', `"${jobId}" is no job id`)
  return join(stateDirectory, 'replicas', jobId)
}

/** Makes sure that the job's tmpfs is there. */
export async function preparePlace({ stateDirectory }: Pick<MountParts, 'stateDirectory'>, jobId: string): Promise<string> {
  const place = placeOf(stateDirectory, jobId)
  await mkdir(place, { recursive: true, mode: 0o700 })
  if ((await mountAt(place))?.type !== 'tmpfs') await mountVirtual('tmpfs', place, BASE_OPTIONS)
  await remountBind(place, ['ro', 'nosuid', 'nodev', 'noexec'])
  return place
}

/** Makes the directory `name` in the job's tmpfs. */
export async function makeMountPoint(place: string, name: string): Promise<string> {
  const mountPoint = join(place, name)
  await remountBind(place, ['rw', 'nosuid', 'nodev', 'noexec'])
  try {
    await mkdir(mountPoint, { recursive: true, mode: 0o700 })
  } finally {
    await remountBind(place, ['ro', 'nosuid', 'nodev', 'noexec'])
  }
  return mountPoint
}

/** @throws {AppError} VOLUME_LAYOUT when the device does not hold the volume's file system, or something else is mounted at its place */
export async function mountVolumes(parts: MountParts, jobId: string, volumes: readonly { device: string, volume: PlannedVolume }[], signal: AbortSignal): Promise<readonly MountedVolume[]> {
  const place = await preparePlace(parts, jobId)
  const mounted: MountedVolume[] = []
  for (const { device, volume } of volumes) {
    if (volume.index < 0) continue
    signal.throwIfAborted()
    const mountPoint = join(place, `volume-${String(volume.index)}`)
    if (await mountAt(mountPoint) === undefined) {
      if (await holdsFileSystem(parts.runner, device, volume.volume, signal) === 'no') {
        throw new AppError('VOLUME_LAYOUT', `${device} does not hold the file system of ${volume.volume.name}; it was not mounted`)
      }
      await makeMountPoint(place, `volume-${String(volume.index)}`)
      await mountVolume(parts.runner, device, mountPoint, volume, signal)
    }
    await checkMounted(device, mountPoint, volume)
    mounted.push({ volume, device, mountPoint, volumeId: volumeIdOf(jobId, volume.index) })
  }
  return mounted
}

async function mountVolume(runner: Runner, device: string, mountPoint: string, volume: PlannedVolume, signal: AbortSignal): Promise<void> {
  const { type } = volume.volume.fileSystem
  if (type === 'vfat') await repairFat(runner, device, signal)
  if (type === 'btrfs') await mountBtrfs(device, mountPoint, optionsFor(volume))
  else await mountDevice(device, mountPoint, type, optionsFor(volume))
}

function optionsFor({ volume }: PlannedVolume): readonly string[] {
  switch (volume.fileSystem.type) {
    case 'xfs': return [...VOLUME_OPTIONS, 'nouuid'] // another source may have the same UUID (a clone)
    case 'btrfs': return [...VOLUME_OPTIONS, volume.subvolume === undefined || volume.subvolume === '' ? `subvolid=${String(BTRFS_TOP)}` : `subvol=/${volume.subvolume}`]
    case 'vfat': return [...VOLUME_OPTIONS, 'errors=remount-ro', ...fatOptions(volume.mountOptions)]
    case 'ext2': case 'ext3': case 'ext4': case 'swap': case 'unsupported': return [...VOLUME_OPTIONS, 'errors=remount-ro']
  }
}

/**
 * Names as the source sees them; the rest of its options says what it shows, not what is there. With `sync` data is on the disk before the time that says
 * that it is complete: there is no log, and no mark of how far a mirror has come.
 */
function fatOptions(source: string): readonly string[] {
  return ['sync', ...source.split(',').filter(option => /^(?:utf8(?:=(?:0|1|yes|no|true|false))?|codepage=\d{1,5}|iocharset=[a-z0-9-]{1,32}|shortname=(?:lower|win95|winnt|mixed)|nonumtail(?:=1)?)$/.test(option))]
}

/** the number of the top of every btrfs, whatever its default subvolume is */
const BTRFS_TOP = 5

/** The place shows the device that was planned for it: writing a volume into another one would mix two volumes silently. */
async function checkMounted(device: string, mountPoint: string, volume: PlannedVolume): Promise<void> {
  const at = await mountAt(mountPoint)
  if (await showsVolume(at, device, volume)) return
  throw new AppError('VOLUME_LAYOUT', `${mountPoint} does not show ${device} (${volume.volume.name}) but ${at === undefined ? 'nothing' : `${at.root} of ${at.type} ${at.source}, device ${at.device}`}`)
}

/** Whether the mount shows the volume on `device`, of a btrfs the subvolume. */
export async function showsVolume(at: MountEntry | undefined, device: string, { volume }: PlannedVolume): Promise<boolean> {
  if (at === undefined) return false
  if (volume.fileSystem.type !== 'btrfs') return at.device === await deviceNumber(device)
  return at.root === `/${volume.subvolume ?? ''}` && await showsBtrfs(at, device)
}

/** Mounts and unmounts once, so that the log of a file system that was not unmounted (a crash) is replayed before it is checked. */
export async function replayLog(parts: MountParts, jobId: string, device: string, type: string, signal: AbortSignal): Promise<void> {
  const place = await preparePlace(parts, jobId)
  const mountPoint = await makeMountPoint(place, 'replay')
  await mountDevice(device, mountPoint, type, type === 'xfs' ? [...VOLUME_OPTIONS, 'nouuid'] : VOLUME_OPTIONS)
  await unmountBelow(parts, mountPoint, signal)
}

/**
 * Unmounts everything at and below `directory`, the last mounted first. Fine when nothing is. A mount stays busy for a moment after the last file in it
 * was closed (another process's scan, a lazy writer); the table is read anew each time, because a read of it may miss a line while others mount.
 * @throws {AppError} MOUNT_FAILED when a mount stays busy
 */
export async function unmountBelow({ clock }: Pick<MountParts, 'clock'>, directory: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ;) {
    const [last] = await mountsBelow(directory)
    if (last === undefined) return
    try {
      await unmount(last.mountPoint)
      attempt = 1
    } catch (error) {
      if (!isAppError(error, 'MOUNT_FAILED') || attempt === BUSY_TRIES) throw error
      await clock.sleep(BUSY_PAUSE_MS * 2 ** attempt, signal)
      attempt++
    }
  }
}

/** Removes the job's directory once nothing is mounted there. */
export async function removePlace({ stateDirectory }: MountParts, jobId: string): Promise<void> {
  try {
    await rmdir(placeOf(stateDirectory, jobId))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw new AppError('VOLUME_LAYOUT', `cannot remove ${placeOf(stateDirectory, jobId)}`, { cause: error })
  }
}
