/**
 * Mounts a btrfs of a replica. The copy of a clone has the UUID of the other one's, which kernels before 6.7 do not mount beside it: they refuse, or, when
 * the other one was looked at in between, show that one. Those since then call it by another UUID as long as it is mounted, and leave the disk as it is.
 */
import { AppError, isAppError } from '../errors/app-error.ts'
import { mountAt, type MountEntry } from '../posix/mount-table.ts'
import { mountDevice, unmount } from '../posix/mounting.ts'
import { deviceNumber, hasNode } from './block-devices.ts'

/** @throws {AppError} VOLUME_LAYOUT when the kernel takes it for one that is there already, which is not mounted then; MOUNT_FAILED */
export async function mountBtrfs(device: string, mountPoint: string, options: readonly string[], mount = mountDevice): Promise<void> {
  try {
    await mount(device, mountPoint, 'btrfs', options)
  } catch (error) {
    if (!isAppError(error, 'MOUNT_FAILED') || !error.message.endsWith('EEXIST')) throw error
    throw takenForAnother(device, error)
  }
  // a read of the table may miss a line while others mount
  const at = await mountAt(mountPoint) ?? await mountAt(mountPoint)
  if (await showsBtrfs(at, device)) return
  await unmount(mountPoint)
  throw takenForAnother(device)
}

/** Whether the mount shows the btrfs on `device`. It has a number of its own: the kernel's name of its device counts. */
export async function showsBtrfs(at: MountEntry | undefined, device: string): Promise<boolean> {
  return at?.type === 'btrfs' && at.source.startsWith('/dev/') && await hasNode(at.source) && await deviceNumber(at.source) === await deviceNumber(device)
}

function takenForAnother(device: string, cause?: unknown): AppError {
  return new AppError('VOLUME_LAYOUT', `the btrfs on ${device} has the UUID of another one in the appliance, whose kernel is older than 6.7 and takes only one: end or delete the job of the other source (a clone) first`, { cause })
}
