/** Why a chosen volume cannot be re-created on the replica. */
import type { ReplicaPlan } from '../domain/replica.ts'
import type { Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import { whyEncryptionNotMade } from '../storage/encrypted-devices.ts'
import { whyGroupNotMade } from '../storage/lvm-metadata.ts'
import { whyNotMade } from '../storage/make-filesystem.ts'
import { bootFamilyOf, releaseOf } from './boot-family.ts'
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
    const encrypted = planned?.physicalVolumes.flatMap(p => p.encryption ?? []) ?? []
    const refused = encrypted.map(e => whyEncryptionNotMade(e) ?? whyNotUnlocked(volume, workload)).find(r => r !== undefined)
    if (refused !== undefined) return `a physical volume of ${group.name} cannot be encrypted anew: ${refused}`
  }
  const planned = plan.volumes.find(v => v.volume.name === volume.name)
  if (planned === undefined) return `it does not lie on a disk that is known (${volume.disk})`
  const { encryption } = planned
  const refused = encryption === undefined ? undefined : whyEncryptionNotMade(encryption) ?? whyNotUnlocked(volume, workload)
  return refused === undefined ? undefined : `it cannot be encrypted anew: ${refused}`
}

const DECRYPT = 'choose to have encrypted volumes decrypted (--encryption decrypt)'
/** First releases whose initramfs unlocks what crypttab says, without asking the device mapper: nothing of the replica's sees that of the appliance. */
const UNLOCKING: Readonly<Record<string, number>> = { debian: 9, ubuntu: 18, rhel: 6, suse: 12 }

/** Why a replica would not start from the volume, if it were encrypted. */
function whyNotUnlocked({ mountPoint }: Volume, workload: Workload): string | undefined {
  const holdsBoot = mountPoint === '/boot' || mountPoint === '/boot/efi' || (mountPoint === '/' && !workload.volumes.some(v => v.mountPoint === '/boot'))
  if (holdsBoot) return `GRUB would have to unlock it to find the kernel, and it does not know this kind of encryption: ${DECRYPT}, or give /boot a volume of its own`
  if (mountPoint !== '/' && mountPoint !== '/usr') return undefined
  const from = UNLOCKING[workload.os.id.toLowerCase()] ?? UNLOCKING[bootFamilyOf(workload) ?? '']
  return from === undefined || (releaseOf(workload) ?? 0) < from ? `the initramfs of this release is not known to unlock ${mountPoint}: ${DECRYPT}` : undefined
}
