/** Ranges of a file that changed: joined, bounded, less precise when there are too many. Pure. */

export interface ChangedRange {
  /** bytes; whole blocks of 4096 */
  offset: number
  /** may reach behind the end of the file */
  lengthBytes: number
  /** it was stored to; else it may have been, and is to be compared */
  sure: boolean
}

/** What one range costs in memory. */
export const RANGE_BYTES = 64
/** More ranges of one file than this are joined with their neighbours. */
const MAX_RANGES = 8192
const BLOCK_BYTES = 4096

/** What is in one of them or in both; a block that is sure in one is sure. Ordered, without overlaps. */
export function joinRanges(a: readonly ChangedRange[], b: readonly ChangedRange[]): ChangedRange[] {
  const sure = merged([...a, ...b].filter(range => range.sure), 0)
  const other = without(merged([...a, ...b].filter(range => !range.sure), 0), sure)
  const joined = [...sure, ...other].sort((x, y) => x.offset - y.offset)
  for (let gap = BLOCK_BYTES; joined.length > MAX_RANGES; gap *= 2) {
    const coarser = merged(joined.map(range => ({ ...range, sure: false })), gap)
    if (coarser.length <= MAX_RANGES) return coarser
  }
  return joined
}

/** Ranges that touch, or lie at most `gap` bytes apart, as one. */
function merged(ranges: readonly ChangedRange[], gap: number): ChangedRange[] {
  const all: ChangedRange[] = []
  for (const range of ranges.toSorted((x, y) => x.offset - y.offset)) {
    const last = all.at(-1)
    if (last !== undefined && range.offset <= last.offset + last.lengthBytes + gap) last.lengthBytes = Math.max(last.lengthBytes, range.offset + range.lengthBytes - last.offset)
    else all.push({ ...range })
  }
  return all
}

/** What of the ranges is not in the others; both are ordered and without overlaps. */
function without(ranges: readonly ChangedRange[], others: readonly ChangedRange[]): ChangedRange[] {
  const left: ChangedRange[] = []
  let next = 0
  for (const range of ranges) {
    let at = range.offset
    const end = range.offset + range.lengthBytes
    for (let other = others[next]; other !== undefined && other.offset < end; other = others[next]) {
      if (other.offset > at) left.push({ ...range, offset: at, lengthBytes: other.offset - at })
      at = Math.max(at, other.offset + other.lengthBytes)
      if (at > end) break
      next++
    }
    if (at < end) left.push({ ...range, offset: at, lengthBytes: end - at })
  }
  return left
}
