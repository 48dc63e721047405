/** What the full lab can migrate. */
import type { GuestSourceLayout } from '../image/guest-image.ts'

export interface Variant {
  what: string
  sources: readonly GuestSourceLayout[]
  /** addresses that replicas get instead of their sources', by host name */
  newAddresses?: Readonly<Record<string, string>>
}

export const VARIANTS: Readonly<Record<string, Variant>> = {
  quick: {
    what: 'BIOS and GPT: /boot on ext4, root and home on ext4 and swap in a volume group, data on xfs and btrfs',
    sources: [{ layout: 'lvm', table: 'gpt', firmware: 'bios', hostName: 'src-db01', address: '10.77.0.11', prefix: '5a7b0000' }],
  },
  uefi: {
    what: 'UEFI, with an EFI system partition, and plain partitions instead of the volume group',
    sources: [{ layout: 'plain', table: 'gpt', firmware: 'uefi', hostName: 'src-db01', address: '10.77.0.11', prefix: '5a7b0000' }],
  },
  pair: {
    what: 'two sources at once on partition tables of DOS, whose volume groups, file systems and partition tables have the same names and identifiers; the second replica gets a new address',
    sources: [1, 2].map(n => ({ layout: 'lvm', table: 'dos', firmware: 'bios', hostName: `src-db0${String(n)}`, address: `10.77.${String(n)}.11`, prefix: '5a7b0000' })),
    newAddresses: { 'src-db02': '10.77.2.12' },
  },
}
export const QUICK = 'quick'
