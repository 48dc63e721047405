/** Figures that a job shows. Bytes, counts, milliseconds. */
import { z } from 'zod'
import { Degradation, MAX_DEGRADATIONS } from './degradation.ts'
import { OrphanTotals } from './orphan.ts'

const count = z.number().nonnegative()

export const MirrorProgress = z.object({
  filesFound: count, filesDone: count, filesSkipped: count,
  bytesFound: count, bytesDone: count, bytesSkipped: count,
  /** bytes sent, payload and framing, before compression and TLS */
  bytesSent: count,
  /** what of them has gone out, as it was compressed */
  bytesSentCompressed: count.optional(),
  /** the walk has ended: found figures are final */
  walked: z.boolean(),
  /** everything found is done, and flushed on the replica */
  complete: z.boolean().default(false),
  findings: count,
  /** left out: none were found */
  orphans: OrphanTotals.optional(),
})
export type MirrorProgress = z.infer<typeof MirrorProgress>

/** What the agent costs the source. */
export const AgentLoad = z.object({
  /** of one processor, over the last seconds; over 100 with several at work */
  cpuPercent: count,
  memoryBytes: count,
  /** its priority: higher is more modest */
  nice: z.number().int().min(-20).max(19),
  /** replication is further behind than it may be: the agent comes forward step by step */
  isBehind: z.boolean().optional(),
})
export type AgentLoad = z.infer<typeof AgentLoad>

/** How far a capture has come (`source/capture-count.ts`): of two of one epoch the later is more, by `kept` first. */
export const CapturePosition = z.object({ kept: z.number().int().nonnegative(), step: z.number().int().nonnegative() })
export type CapturePosition = z.infer<typeof CapturePosition>

export const ReplicationProgress = z.object({
  /** changes waiting at the source */
  queued: count,
  changesApplied: count,
  bytesSent: count,
  bytesSentCompressed: count.optional(),
  /** age of the oldest change not yet safe on the replica; 0 when there is none */
  recoveryPointLatencyMs: count,
  latencyMsP50: count, latencyMsP99: count,
  /** the longest that any change took */
  latencyMsMax: count.optional(),
  /** what the waiting changes take in the source's memory, and on its disk */
  queueBytes: count.optional(), diskQueueBytes: count.optional(),
  agent: AgentLoad.optional(),
  position: CapturePosition.optional(),
  /** what of the capture is less than it should be right now; left out: nothing */
  degraded: z.array(Degradation).max(MAX_DEGRADATIONS).optional(),
})
export type ReplicationProgress = z.infer<typeof ReplicationProgress>

export const NO_MIRROR_PROGRESS: MirrorProgress = {
  filesFound: 0, filesDone: 0, filesSkipped: 0, bytesFound: 0, bytesDone: 0, bytesSkipped: 0, bytesSent: 0, walked: false, complete: false, findings: 0,
}

/** What a file costs besides its bytes, so that a million empty files show progress, too. */
const FILE_COST_BYTES = 4096
/** The share of a mirror that is not complete is never above this. */
const ALMOST = 0.999

/** What has been found and is neither done nor skipped yet. Pure. */
export function remaining(progress: MirrorProgress): { files: number, bytes: number } {
  return {
    files: Math.max(0, progress.filesFound - progress.filesDone - progress.filesSkipped),
    bytes: Math.max(0, progress.bytesFound - progress.bytesDone - progress.bytesSkipped),
  }
}

/** Bytes that are done and that were found, files counted with what they cost besides their bytes. Pure. */
export function mirrorPosition(progress: MirrorProgress): { position: number, total: number } {
  const total = progress.bytesFound + FILE_COST_BYTES * progress.filesFound
  return { total, position: Math.min(total, progress.bytesDone + progress.bytesSkipped + FILE_COST_BYTES * (progress.filesDone + progress.filesSkipped)) }
}

/**
 * How much of a mirror is done, 0 to 1. It goes back only by what was newly found: by no more than the newly found part of all that is known
 * then. It is 1 only when all is done and flushed. Pure.
 */
export function mirrorShare(progress: MirrorProgress): number {
  if (progress.complete) return 1
  const { position, total } = mirrorPosition(progress)
  return total === 0 ? 0 : Math.min(ALMOST, position / total)
}

/** "45.2 %" of a share; 100 % only for 1. */
export function percent(share: number): string {
  return `${(share >= 1 ? 100 : Math.min(99.9, Math.floor(share * 1000) / 10)).toFixed(1)} %`
}
