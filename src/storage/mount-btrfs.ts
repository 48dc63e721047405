/**
 * Mounts a btrfs of a replica. The copy of a clone has the UUID of the other one's, which kernels before 6.7 do not mount beside it; those since then
 * call it by another UUID as long as it is mounted, and leave the disk as it is.
 */
import { AppError, isAppError } from '../errors/app-error.ts'
import { mountDevice } from '../posix/mounting.ts'

/** @throws {AppError} VOLUME_LAYOUT when the kernel takes it for one that is there already; MOUNT_FAILED */
export async function mountBtrfs(device: string, mountPoint: string, options: readonly string[], mount = mountDevice): Promise<void> {
  try {
    await mount(device, mountPoint, 'btrfs', options)
  } catch (error) {
    if (!isAppError(error, 'MOUNT_FAILED') || !error.message.endsWith('EEXIST')) throw error
    throw new AppError('VOLUME_LAYOUT', `the btrfs on ${device} has the UUID of another one in the appliance, whose kernel is older than 6.7 and takes only one: end or delete the job of the other source (a clone) first`, { cause: error })
  }
}
