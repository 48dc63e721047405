/**
 * Mounts a btrfs of a replica. The copy of a clone has the UUID of the other one's, which kernels before 6.7 do not mount beside it; those since then
 * call it by another UUID as long as it is mounted, and leave the disk as it is.
 */
import { mountDevice } from '../command/mount.ts'
import type { Runner } from '../command/runner.ts'
import { AppError, isAppError } from '../errors/app-error.ts'

/** @throws {AppError} VOLUME_LAYOUT when the kernel takes it for one that is there already; what Runner throws */
export async function mountBtrfs(runner: Runner, device: string, mountPoint: string, options: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await mountDevice(runner, device, mountPoint, 'btrfs', options, signal)
  } catch (error) {
    if (!isAppError(error, 'TOOL_FAILED') || !error.message.includes('File exists')) throw error
    throw new AppError('VOLUME_LAYOUT', `the btrfs on ${device} has the UUID of another one in the appliance, whose kernel is older than 6.7 and takes only one: end or delete the job of the other source (a clone) first`, { cause: error })
  }
}
