/** The ranges that the addon gives with marks (join.rs). */

export interface MarkedRange { offset: number, lengthBytes: number, sure: boolean }

const HEAD_BYTES = 14
const RANGE_BYTES = 16
/** Where a range has no end: far behind that of any file, and a number that is exact. */
const END = Number.MAX_SAFE_INTEGER - 4095

/** By `rangesKey`: what is known of a file; a file that is not among them may have changed anywhere. */
export function markedRanges(records: Buffer): Map<string, MarkedRange[]> {
  const all = new Map<string, MarkedRange[]>()
  for (let at = 0; at < records.length;) {
    const ranges: MarkedRange[] = []
    const count = records.readUInt32LE(at + 10)
    for (let i = 0, from = at + HEAD_BYTES; i < count; i++, from += RANGE_BYTES) {
      const first = records.readBigUInt64LE(from)
      const offset = numberOf(first & ~1n)
      ranges.push({ offset, lengthBytes: numberOf(records.readBigUInt64LE(from + 8)) - offset, sure: (first & 1n) === 1n })
    }
    all.set(rangesKey(records.readUInt16LE(at), records.readBigUInt64LE(at + 2)), ranges)
    at += HEAD_BYTES + count * RANGE_BYTES
  }
  return all
}

/** A file of a mark: the volume's number in the watch, and the inode. */
export function rangesKey(volume: number, inode: bigint): string {
  return `${String(volume)}/${String(inode)}`
}

function numberOf(offset: bigint): number {
  return Math.min(Number(offset), END)
}
