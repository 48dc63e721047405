/**
 * The folder on the source's disk in which marks wait that memory has no room for. It must not lie on a file system that is captured, also
 * where a rule leaves it out: each write there would be a change, and while the file system is frozen nothing could be written.
 */
import type { Stats } from 'node:fs'
import { lstat, realpath, statfs } from 'node:fs/promises'
import { AppError } from '../errors/app-error.ts'
import { mountHolding, readMounts } from '../posix/mount-table.ts'

export interface DiskQueue {
  /** absolute */
  folder: string
  /** of the file in it; left out: as much as there is room */
  maximumBytes?: number | undefined
  /** what stays free on its file system */
  minimumFreeBytes: number
}

const OTHERS_WRITE = 0o022
const MIB = 1024 * 1024

/**
 * Refuses a folder that cannot be used for these volumes.
 * @throws {AppError} QUEUE_FOLDER_REPLICATED, and what `checkQueueFolder` throws
 */
export async function checkDiskQueue(queue: DiskQueue, volumes: readonly string[]): Promise<void> {
  await checkQueueFolder(queue)
  const [volume] = await volumesBeside(queue.folder, volumes)
  if (volume !== undefined) throw new AppError('QUEUE_FOLDER_REPLICATED', `the folder of the queue, ${queue.folder}, lies on the same file system as the volume ${volume}, which is replicated`)
}

/** Those of the volumes, paths on this machine, on whose file system the folder lies. */
export async function volumesBeside(folder: string, volumes: readonly string[]): Promise<string[]> {
  const mounts = await readMounts()
  // subvolumes of a btrfs have one device here
  const deviceOf = async (path: string): Promise<string | undefined> => mountHolding(mounts, await realpath(path))?.device
  const device = await deviceOf(folder)
  const devices = await Promise.all(volumes.map(deviceOf))
  return volumes.filter((_, i) => devices[i] === device)
}

/**
 * Refuses a folder that cannot be used, whatever is replicated.
 * @throws {AppError} QUEUE_FOLDER_INVALID; QUEUE_LIMITS_INVALID when its file system cannot hold what the limits ask for
 */
export async function checkQueueFolder({ folder, maximumBytes = 0, minimumFreeBytes }: DiskQueue): Promise<void> {
  const found = await look(folder)
  if (!found.isDirectory()) throw new AppError('QUEUE_FOLDER_INVALID', `the folder of the queue, ${folder}, is no directory`)
  if (found.uid !== process.geteuid?.() || (found.mode & OTHERS_WRITE) !== 0) throw new AppError('QUEUE_FOLDER_INVALID', `others than root may write into the folder of the queue, ${folder}`)
  const { bsize, blocks } = await statfs(folder)
  const sizeBytes = bsize * blocks
  if (maximumBytes + minimumFreeBytes > sizeBytes) {
    const asked = maximumBytes === 0 ? `${mib(minimumFreeBytes)} are to stay free` : `up to ${mib(maximumBytes)} are to be used and ${mib(minimumFreeBytes)} to stay free`
    throw new AppError('QUEUE_LIMITS_INVALID', `the file system of the folder of the queue, ${folder}, has ${mib(sizeBytes)}, of which ${asked}`)
  }
}

/** The folder could be looked at a moment ago, and not be used. */
export function folderUnusable(folder: string, error: unknown): AppError {
  return new AppError('QUEUE_FOLDER_INVALID', `the folder of the queue, ${folder}, cannot be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

async function look(folder: string): Promise<Stats> {
  try {
    return await lstat(folder)
  } catch (error) {
    throw folderUnusable(folder, error)
  }
}

function mib(bytes: number): string {
  return `${String(Math.floor(bytes / MIB))} MiB`
}
