/** Which fix-ups make a source boot. */
import type { ReplicaPlan } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'
import { debianFixUps } from './boot-debian.ts'
import { bootFamilyOf, releaseOf } from './boot-family.ts'
import { redHatFixUps } from './boot-rhel.ts'
import { suseFixUps } from './boot-suse.ts'
import { fixUpFailed, type FixUp } from './fix-up.ts'

/** @throws {AppError} BOOT_FIXUP_FAILED when it is not known how: validation says so before */
export function fixUpsOf({ workload, plan }: { workload: Workload, plan: Pick<ReplicaPlan, 'firmware'> }): readonly FixUp[] {
  const family = bootFamilyOf(workload)
  const release = releaseOf(workload)
  const { loader } = workload.boot
  if (family === undefined || release === undefined || (loader !== 'grub2' && loader !== 'grub-legacy') || (family === 'debian' && loader !== 'grub2')) {
    throw fixUpFailed(`it is not known how ${workload.os.prettyName} with ${plan.firmware} and ${loader} is made to boot; nothing was changed`)
  }
  switch (family) {
    case 'debian': return debianFixUps(plan.firmware)
    case 'rhel': return redHatFixUps(release, plan.firmware, loader)
    case 'suse': return suseFixUps(release, plan.firmware, loader)
  }
}
