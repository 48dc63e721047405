/** Why a chosen volume cannot be re-created on the replica. */
import type { ReplicaPlan } from '../domain/replica.ts'
import type { Volume } from '../domain/volume.ts'
import { whyNotMade } from '../storage/make-filesystem.ts'

/** undefined when it can. Pure. */
export function whyVolumeUnsupported(volume: Volume, plan: ReplicaPlan): string | undefined {
  if (volume.unsupportedReason !== undefined) return volume.unsupportedReason
  const reason = whyNotMade(volume)
  if (reason !== undefined) return reason
  if (volume.fileSystem.type !== 'swap' && volume.mountPoint === undefined) return 'it is not mounted on the source'
  const disk = plan.disks.find(d => d.sourceDisk === volume.disk)
  if (disk === undefined) return `it does not lie on a disk that is known (${volume.disk})`
  if (volume.partition === 0) return disk.table === 'none' ? undefined : `it lies on all of ${volume.disk}, which has a partition table`
  return disk.partitions.some(p => p.number === volume.partition) ? undefined : `there is no partition ${String(volume.partition)} on ${volume.disk}`
}
