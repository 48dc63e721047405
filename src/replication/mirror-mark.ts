/**
 * How far an unfinished mirror has come, kept with each replica's root while it runs, so that the next one does not send again what has
 * safely arrived, and does not believe what a power loss of the appliance may have torn. An object of the replica tells by its ctime when it
 * was written last: before the mirror began, since then and flushed, or too late to be sure. Where no mark can be kept nothing is believed.
 *
 * What is not sure stays so until a mirror is complete: the pages of a torn file look as clean as any other to a later flush.
 */
import { z } from 'zod'
import type { TargetTree } from '../tree/target-tree.ts'
import type { MirrorRequest, ResumePoint } from '../wire/messages.ts'

/** Marks of kernels are a tick behind the clock, by 10 ms at most; and a clock is read before or after what it is to be compared with. */
const TICK_MS = 20
/** Some file systems keep whole seconds only. */
const COARSE_MS = 1000
/** More ranges than this are joined. */
const MAX_RANGES = 16
const ALWAYS = Number.MAX_SAFE_INTEGER

const time = z.number().int().nonnegative()

/** Times are milliseconds of the appliance's clock, as it was. */
export const MirrorMark = z.strictObject({
  version: z.literal(1),
  compare: z.enum(['none', 'attributes', 'data']),
  /** objects that were written last before this were not written by this mirror */
  startedMs: time,
  /** objects that were written last before this (and are not in `unsure`) are flushed */
  durableBeforeMs: time,
  /** from, to: written last in between by mirrors that were interrupted, and perhaps never flushed */
  unsure: z.array(z.tuple([time, time])).max(MAX_RANGES),
  /** changes of the source since then may have been captured and forgotten */
  forgottenSinceMs: time.optional(),
})
export type MirrorMark = z.infer<typeof MirrorMark>

export interface BegunMirror {
  compare: MirrorRequest['compare']
  /** what was written last from then on may have the right attributes and other data, because changes that were captured were forgotten; undefined: none were */
  settledBeforeMs?: number | undefined
}

/** The mark of a mirror that begins now; `left` is what an interrupted one has left. Pure. */
export function beginMark(left: MirrorMark | undefined, { compare, settledBeforeMs }: BegunMirror, nowMs: number): MirrorMark {
  const goesOn = compare === 'none' && left?.compare === 'none'
  const forgottenSinceMs = forgottenSince(left, settledBeforeMs)
  return {
    version: 1, compare, startedMs: goesOn ? left.startedMs : nowMs + TICK_MS, durableBeforeMs: flushedBefore(nowMs),
    unsure: joined(unsureRanges(left, settledBeforeMs, nowMs).map(([from, to]): [number, number] => [from, Math.min(to, nowMs + TICK_MS)])),
    ...forgottenSinceMs === undefined ? {} : { forgottenSinceMs },
  }
}

/** What the agent is to know about what an interrupted mirror, or a capture that is forgotten, has left. Pure. */
export function resumePoint(left: MirrorMark | undefined, { compare, settledBeforeMs }: BegunMirror, volume: number, nowMs: number): ResumePoint {
  const forgottenSinceMs = forgottenSince(left, settledBeforeMs)
  return {
    volume, sentSinceMs: left?.compare === 'none' && compare === 'none' ? left.startedMs : null, unsure: unsureRanges(left, settledBeforeMs, nowMs),
    forgottenForMs: forgottenSinceMs === undefined ? null : Math.max(0, nowMs - forgottenSinceMs),
  }
}

function forgottenSince(left: MirrorMark | undefined, settledBeforeMs: number | undefined): number | undefined {
  const known = [left?.forgottenSinceMs, settledBeforeMs].filter(ms => ms !== undefined)
  return known.length === 0 ? undefined : Math.trunc(Math.min(...known))
}

/** Everything written last before the result was written before a flush that begins at nowMs, also where ctimes are whole seconds. */
export function flushedBefore(nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - TICK_MS) / COARSE_MS) * COARSE_MS)
}

function unsureRanges(left: MirrorMark | undefined, settledBeforeMs: number | undefined, nowMs: number): [number, number][] {
  const beginnings = [left?.durableBeforeMs, settledBeforeMs].filter(ms => ms !== undefined)
  const ranges = left?.unsure ?? []
  // a clock that was set back tells nothing any more
  if (beginnings.some(ms => nowMs < ms) || ranges.some(([, to]) => nowMs + TICK_MS < to)) return [[0, ALWAYS]]
  return [...ranges, ...beginnings.map((ms): [number, number] => [ms, ALWAYS])]
}

/** Overlapping ranges as one, and the nearest ones, too, when there are too many. */
function joined(ranges: readonly [number, number][]): [number, number][] {
  const all: [number, number][] = []
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = all.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else all.push([from, to])
  }
  while (all.length > MAX_RANGES) {
    let nearest = 1
    for (let i = 1; i < all.length; i++) if (gap(all, i) < gap(all, nearest)) nearest = i
    const [removed] = all.splice(nearest, 1)
    const before = all[nearest - 1]
    if (before !== undefined && removed !== undefined) before[1] = removed[1]
  }
  return all
}

function gap(ranges: readonly [number, number][], index: number): number {
  return (ranges[index]?.[0] ?? 0) - (ranges[index - 1]?.[1] ?? 0)
}

/** The mark that a replica bears; undefined also when it is of a form that we do not know. */
export async function readMark(target: TargetTree, signal: AbortSignal): Promise<MirrorMark | undefined> {
  const text = await target.readMirrorMark(signal)
  if (text === undefined) return undefined
  try {
    return MirrorMark.safeParse(JSON.parse(text)).data
  } catch {
    return undefined // no JSON: as good as none
  }
}
