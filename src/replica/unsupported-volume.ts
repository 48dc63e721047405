/** Why a chosen volume cannot be re-created on the replica. */
import type { ReplicaPlan } from '../domain/replica.ts'
import type { Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import { whyGroupNotMade } from '../storage/lvm-metadata.ts'
import { whyNotMade } from '../storage/make-filesystem.ts'
import { groundOf, nameBelow } from './ground.ts'

/** undefined when it can. Pure. */
export function whyVolumeUnsupported(volume: Volume, plan: ReplicaPlan, workload: Workload): string | undefined {
  if (volume.unsupportedReason !== undefined) return volume.unsupportedReason
  const reason = whyNotMade(volume)
  if (reason !== undefined) return reason
  if (volume.fileSystem.type !== 'swap' && volume.mountPoint === undefined) return 'it is not mounted on the source'
  const ground = groundOf(workload, nameBelow(volume))
  if (ground.kind === 'unknown') return ground.reason
  if (ground.kind === 'logical') {
    const { group } = ground
    if (group.format !== 'lvm2') return `volume group ${group.name} has the format ${group.format}: convert it with vgconvert`
    if (group.shared) return `volume group ${group.name} is shared by several hosts`
    if (group.partial) return `volume group ${group.name} is not complete: physical volumes are missing`
    const odd = group.physicalVolumes.find(p => groundOf(workload, p.on).kind !== 'place')
    if (odd !== undefined) return `a physical volume of ${group.name} lies on ${odd.on === '' ? 'a device that is not known' : odd.on}`
    const planned = plan.volumeGroups?.find(g => g.uuid === group.uuid)
    const reason = planned === undefined ? 'it is not in the plan' : whyGroupNotMade(planned)
    if (reason !== undefined) return `volume group ${group.name} cannot be re-created: ${reason}`
    if (planned?.physicalVolumes.some(p => p.encryption !== undefined) === true) return `a physical volume of ${group.name} is encrypted, which this version cannot make: choose to have it decrypted (--encryption decrypt)`
  }
  const planned = plan.volumes.find(v => v.volume.name === volume.name)
  if (planned === undefined) return `it does not lie on a disk that is known (${volume.disk})`
  return planned.encryption === undefined ? undefined : 'encrypted volumes are planned, but cannot be made by this version: choose to have them decrypted (--encryption decrypt)'
}
