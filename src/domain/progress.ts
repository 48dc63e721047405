/** Figures that a job shows. Bytes, counts, milliseconds. */
import { z } from 'zod'

const count = z.number().nonnegative()

export const MirrorProgress = z.object({
  filesFound: count, filesDone: count, filesSkipped: count,
  bytesFound: count, bytesDone: count, bytesSkipped: count,
  /** bytes on the wire, payload and framing, before TLS */
  bytesSent: count,
  /** the walk has ended: found figures are final */
  walked: z.boolean(),
  findings: count,
})
export type MirrorProgress = z.infer<typeof MirrorProgress>

export const ReplicationProgress = z.object({
  /** changes waiting at the source */
  queued: count,
  changesApplied: count,
  bytesSent: count,
  /** age of the oldest change not yet safe on the replica; 0 when there is none */
  recoveryPointLatencyMs: count,
  latencyMsP50: count, latencyMsP99: count,
})
export type ReplicationProgress = z.infer<typeof ReplicationProgress>

export const NO_MIRROR_PROGRESS: MirrorProgress = {
  filesFound: 0, filesDone: 0, filesSkipped: 0, bytesFound: 0, bytesDone: 0, bytesSkipped: 0, bytesSent: 0, walked: false, findings: 0,
}
