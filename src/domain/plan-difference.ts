/** What of a replica will not be as it is on its source. Shown before anything is made. */
import { z } from 'zod'

/** Code: what a person should look at because of it; '' when it needs no look. A difference with advice is a warning of the validation. */
export const PLAN_DIFFERENCES = {
  DISK_SIZE: '',
  SECTOR_SIZE: '',
  PARTITIONS_MOVED: '',
  PARTITION_SIZE: '',
  PARTITION_TYPE: '',
  DISK_PER_VOLUME: '',
  PARTITION_IDENTITY: 'Check that nothing on the source names the partition by its old number or PARTUUID.',
  DISK_IDENTITY: '',
  DISK_LEFT_OUT: '',
  VOLUME_LEFT_OUT: '',
  CONTENT_UNKNOWN: 'Empty, or without a file system (Oracle ASM, a database on a raw device): copy what is needed by the means of the program that uses it.',
  SUBVOLUMES_LEFT_OUT: 'Mount those that are to be migrated, and validate again.',
  VOLUME_SIZE: '',
  GROUP_SIZE: '',
  PHYSICAL_VOLUMES: '',
  THIN_FLATTENED: 'The volume takes all of its space at once. Choose a smaller size for it when it holds much less.',
  SNAPSHOT_FLATTENED: 'The volume no longer depends on its origin and takes all of its space.',
  RAID_VOLUME_FLATTENED: 'The datastore has to guard against the loss of a disk.',
  CACHE_FLATTENED: 'The datastore has to be fast enough.',
  LAYOUT_FLATTENED: 'Check that the logical volume needs nothing of its old layout.',
  STRIPES_FLATTENED: '',
  XFS_STRIPE_DROPPED: '',
  EXT_STRIPE_DROPPED: '',
  FAT_BITS: '',
  ARRAY_REMOVED: 'The datastore has to guard against the loss of a disk.',
  DECRYPTED: 'The data lies on the datastore in the clear. Choose to encrypt again if that must not be.',
  RE_ENCRYPTED: 'The volume has a new key and a new passphrase, for which the replica asks at its console when it starts: be there. Key files, TPM and network unlocking of the source do not open it.',
  MULTIPATH_REMOVED: 'Check that nothing on the source but its boot configuration names the multipath device.',
  ADAPTER_DISCARDED: '',
  MAC_CHANGED: '',
  CONTROLLER: '',
} as const satisfies Record<string, string>
export type PlanDifferenceCode = keyof typeof PLAN_DIFFERENCES

export const PlanDifference = z.object({
  code: z.enum(Object.keys(PLAN_DIFFERENCES) as [PlanDifferenceCode, ...PlanDifferenceCode[]]),
  /** the disk, volume or adapter */
  subject: z.string(),
  /** one sentence */
  message: z.string(),
})
export type PlanDifference = z.infer<typeof PlanDifference>
