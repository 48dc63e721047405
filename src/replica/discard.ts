/** Undoes `build.ts`: volumes unmounted, disks detached from the appliance, and their files deleted unless they are to be kept. */
import { storageLog } from '../logging/logger.ts'
import { isAppError } from '../errors/app-error.ts'
import type { BuiltReplica } from '../domain/replica.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { VolumeStack } from '../storage/volume-stack.ts'

export interface DiscardRequest { jobId: string, built: BuiltReplica, hypervisor: Hypervisor, volumes: VolumeStack, keepDisks: boolean }

/**
 * Fine when parts of it are gone already. A replica VM among `built` is removed first; one that runs is the caller's decision.
 * @param keep writes down what still exists, after each effect
 * @throws {AppError} MOUNT_FAILED when a volume stays busy, what Hypervisor throws
 */
export async function discardReplica(request: DiscardRequest, keep: (built: BuiltReplica) => Promise<void>, signal: AbortSignal): Promise<void> {
  const { jobId, built, hypervisor, volumes, keepDisks } = request
  const { disks } = built
  if (built.vmId !== undefined) {
    await hypervisor.removeVm(built.vmId, signal)
    await keep({ disks })
  }
  await volumes.release(jobId, await devicesOf(request, signal), signal, { check: keepDisks })
  await hypervisor.detachDisks(disks, signal)
  if (keepDisks) return
  for (const [i, disk] of disks.entries()) {
    signal.throwIfAborted()
    await hypervisor.deleteDisk(disk, signal)
    await keep({ disks: disks.slice(i + 1) })
  }
}

/** The disks that are in the appliance now; one that is not (any more) has nothing mounted. */
async function devicesOf({ built, volumes }: DiscardRequest, signal: AbortSignal): Promise<readonly string[]> {
  const devices: string[] = []
  for (const disk of built.disks) {
    if (disk.uuid === '') continue
    try {
      devices.push(await volumes.deviceOf(disk.uuid, AbortSignal.any([signal, AbortSignal.timeout(DISK_WAIT_MS)])))
    } catch (error) {
      signal.throwIfAborted()
      if (!isAppError(error, 'DISK_NOT_FOUND') && !(error instanceof Error && error.name === 'TimeoutError')) throw error
      storageLog.info({ disk: disk.path }, 'disk of a replica that is discarded is not in the appliance')
    }
  }
  return devices
}

/** A disk that is to be thrown away is not waited for: it is there or it is not. */
const DISK_WAIT_MS = 2000
