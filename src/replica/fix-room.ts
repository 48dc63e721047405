/** C03: there is room for what the other fix-ups write; running out of it half way would leave a boot directory that boots nothing. */
import { fixUpFailed, type AssembledReplica, type FixUp } from './fix-up.ts'

const MIB = 1 << 20
const ROOT_BYTES = 100 * MIB
const BOOT_BYTES = 50 * MIB
const INODES = 100
/** A new initramfs with all drivers beside the old one. */
const INITRAMFS_FACTOR = 2n

export const FIX_ROOM: FixUp = {
  id: 'C03', title: 'check that there is room', required: true,
  fix: async ({ files, space }: AssembledReplica) => {
    let largest = 0n
    for (const name of await files.names('/boot')) {
      if (!/^init(?:rd|ramfs)/.test(name)) continue
      const size = (await files.stats(`/boot/${name}`))?.size ?? 0n
      if (size > largest) largest = size
    }
    const needs = [['/', ROOT_BYTES], ['/boot', Math.max(BOOT_BYTES, Number(largest * INITRAMFS_FACTOR))], ['/var/tmp', ROOT_BYTES]] as const
    for (const [path, bytes] of needs) {
      const { freeBytes, freeInodes } = await (space === undefined ? files.space(path) : space(path))
      if (freeBytes < bytes) throw fixUpFailed(`${path} of the replica has ${String(Math.floor(freeBytes / MIB))} MiB free, ${String(Math.ceil(bytes / MIB))} MiB are needed: free space on the source`)
      if (freeInodes >= 0 && freeInodes < INODES) throw fixUpFailed(`${path} of the replica has ${String(freeInodes)} inodes free, ${String(INODES)} are needed: remove files on the source`)
    }
    return []
  },
}
