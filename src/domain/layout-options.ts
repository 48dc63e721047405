/** How the disks of the replica are laid out, as the user chooses. */
import { z } from 'zod'

const size = z.number().int().positive().max(2 ** 50)
const MAX_SIZES = 1000

export const LayoutOptions = z.object({
  /** matching: disks, partitions and volume groups as on the source; per-volume: one disk for each partition, and for each volume group */
  disks: z.enum(['matching', 'per-volume']).default('matching'),
  /** sizes on the replica; a volume that is not named has the source's. Volumes by name or mount point */
  sizes: z.array(z.object({ volume: z.string(), sizeBytes: size })).max(MAX_SIZES).default([]),
  /** volume groups: their size, never below the sum of their logical volumes; with a disk per group the largest physical volume */
  groups: z.array(z.object({ name: z.string(), sizeBytes: size.optional(), maxPhysicalVolumeBytes: size.optional() })).max(MAX_SIZES).default([]),
  /** encrypted volumes arrive in the clear, or encrypted with a new passphrase */
  encryption: z.enum(['decrypt', 're-encrypt']).default('decrypt'),
})
export type LayoutOptions = z.infer<typeof LayoutOptions>

export const SOURCE_LAYOUT: LayoutOptions = { disks: 'matching', sizes: [], groups: [], encryption: 'decrypt' }
