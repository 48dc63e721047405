/** Makes a volume full, and not full again. */
import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

/** what a ballast that did not fit is tried smaller by */
const BALLAST_STEP_BYTES = 1024 * 1024

/** Fills the volume up to so many bytes, or somewhat more: XFS counts blocks as free that it keeps back for its own trees. */
export function fillUp(volume: string, leftBytes: number): { remove: () => void } {
  const path = join(volume, 'ballast')
  const { bavail, bfree, bsize } = statfsSync(volume)
  closeSync(openSync(path, 'w'))
  // root may use what is reserved for it, but for the 4096 blocks that ext4 keeps for itself
  let sizeBytes = Math.max(bavail, bfree - 4096) * bsize - leftBytes
  while (sizeBytes > 0 && spawnSync('fallocate', ['--length', String(sizeBytes), path], { stdio: 'ignore' }).status !== 0) {
    truncateSync(path)
    sizeBytes -= BALLAST_STEP_BYTES
  }
  return {
    remove: () => {
      // for good: a power loss must not bring it back
      const fd = openSync(path, 'w')
      fsyncSync(fd)
      closeSync(fd)
      rmSync(path)
    },
  }
}
