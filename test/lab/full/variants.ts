/** What the full lab can migrate. */
import type { GuestSourceLayout } from '../image/guest-image.ts'

export const VARIANTS: Readonly<Record<string, { what: string, sources: readonly GuestSourceLayout[] }>> = {
  quick: {
    what: 'GPT with plain partitions: /boot, root and home on ext4, swap, data on xfs and btrfs',
    sources: [{ layout: 'plain', table: 'gpt', hostName: 'src-db01', address: '10.77.0.11', prefix: '5a7b0000' }],
  },
  mbr: {
    what: 'the same with a partition table of DOS',
    sources: [{ layout: 'plain', table: 'dos', hostName: 'src-db01', address: '10.77.0.11', prefix: '5a7b0000' }],
  },
}
export const QUICK = 'quick'
