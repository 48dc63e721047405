/** How the memory limit of the queue is divided. Pure. */
import { USUAL_CHANGE_BYTES } from './change-set.ts'

/** product.md 4 */
export const DEFAULT_MEMORY_BYTES = 128 * 1024 * 1024
/** of the limit: changes that were put back, all that was on its way when a link is lost among them */
const CHANGES_SHARE = 3
/** three parts may be on their way to the replica, with the one that is looked at; and paths may be long */
const PARTS = 4
const MAX_PART = 50_000

export interface MemoryShares {
  /** for marks in the addon */
  markBytes: number
  /** for changes here */
  changeBytes: number
  /** see ChangeSource */
  partSize: number
}

export function memoryShares(limitBytes: number = DEFAULT_MEMORY_BYTES): MemoryShares {
  const changeBytes = Math.floor(limitBytes / CHANGES_SHARE)
  return {
    markBytes: limitBytes - changeBytes, changeBytes,
    partSize: Math.max(1, Math.min(MAX_PART, Math.floor(changeBytes / PARTS / USUAL_CHANGE_BYTES))),
  }
}
