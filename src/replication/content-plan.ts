/** What is to be sent, punched and compared of a file, by what is known of it. Pure. */
import type { ChangedRange } from '../capture/changed-range.ts'
import type { DataRange } from '../tree/source-tree.ts'

/** Longer runs are compared even when all of them was stored to: programs often write again what was there. */
const COMPARE_BYTES = 1024 * 1024
/** Runs to compare that lie so near to each other are one question to the replica. */
const GAP_BYTES = 64 * 1024
/** Hashes asked for at once: 32 KiB of them. */
const WINDOW_BYTES = 8 * 1024 * 1024
const WINDOWS_AT_ONCE = 8

export interface ContentPlan {
  holes: readonly DataRange[]
  sure: readonly DataRange[]
  /** windows, which may hold further holes */
  compared: readonly DataRange[]
}

/** @param extents runs of data in the ranges; both are in order and without overlaps */
export function sortOut(ranges: readonly ChangedRange[], extents: readonly DataRange[], sizeBytes: number): ContentPlan {
  const holes: DataRange[] = []
  const sure: DataRange[] = []
  const compared: DataRange[] = []
  let next = 0
  for (const range of ranges) {
    const end = Math.min(range.offset + range.lengthBytes, sizeBytes)
    let at = range.offset
    for (let run = extents[next]; run !== undefined && run.offset < end; run = extents[++next]) {
      if (run.offset > at) holes.push({ offset: at, lengthBytes: run.offset - at })
      at = run.offset + run.lengthBytes
      if (range.sure && run.lengthBytes <= COMPARE_BYTES) sure.push(run)
      else compared.push(run)
    }
    if (at < end) holes.push({ offset: at, lengthBytes: end - at })
  }
  return { holes, sure, compared: windows(compared) }
}

/** As few windows as hold all the runs. */
function windows(runs: readonly DataRange[]): DataRange[] {
  const all: DataRange[] = []
  for (const { offset, lengthBytes } of runs) {
    const end = offset + lengthBytes
    const last = all.at(-1)
    if (last !== undefined && offset <= last.offset + last.lengthBytes + GAP_BYTES && end - last.offset <= WINDOW_BYTES) {
      last.lengthBytes = end - last.offset
      continue
    }
    for (let at = offset; at < end; at += WINDOW_BYTES) all.push({ offset: at, lengthBytes: Math.min(WINDOW_BYTES, end - at) })
  }
  return all
}

/** The windows in groups, each of at most one large window or some small ones: their answers are waited for together. */
export function askedAtOnce<Window extends DataRange>(asked: readonly Window[]): Window[][] {
  const groups: Window[][] = []
  let bytes = 0
  for (const window of asked) {
    const last = groups.at(-1)
    bytes += window.lengthBytes
    if (last === undefined || last.length >= WINDOWS_AT_ONCE || bytes > WINDOW_BYTES) {
      groups.push([window])
      bytes = window.lengthBytes
    } else last.push(window)
  }
  return groups
}
