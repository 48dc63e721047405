/** What transfer.ts and its receiver say to each other. */
import { z } from 'zod'
import { DegradationKind } from '../../src/domain/degradation.ts'
import { Finding } from '../../src/domain/finding.ts'
import { Orphan, OrphanTotals } from '../../src/domain/orphan.ts'
import { MirrorProgress } from '../../src/domain/progress.ts'
import { Rule } from '../../src/domain/rule.ts'
import { Transmission } from '../../src/domain/transmission.ts'
import { VerifyBy, VerifyProgress } from '../../src/domain/verification.ts'
import { MirrorRequest } from '../../src/wire/messages.ts'

export const Task = z.object({
  /** absolute paths */
  source: z.string(), target: z.string(),
  request: MirrorRequest, rules: z.array(Rule),
  /** where orphans are set aside */
  orphansFolder: z.string().optional(),
  /** what DST has to be: open-target.ts */
  volumeId: z.string().optional(), mark: z.boolean().optional(),
  /** verify instead of mirroring; the report's file is absolute */
  verify: z.object({ by: VerifyBy, repair: z.boolean(), reportFile: z.string() }).optional(),
  /** so many findings are kept; all are counted */
  maxFindings: z.number(),
  /** tell how far it is */
  progress: z.boolean(),
  /** how data goes, each from so long after the beginning on */
  transmissions: z.array(z.object({ afterMs: z.number(), how: Transmission })),
  /** go on replicating after the mirror */
  replicate: z.boolean(),
  /** absolute path of a script that runs in the stream when standard input says so, as a job's task does */
  script: z.string().optional(),
  /** where the receiver keeps its authority, and where the agent finds its identity */
  stateDirectory: z.string(), agentStateDirectory: z.string(),
})
export type Task = z.infer<typeof Task>

/** the first of them, and how many there are */
const Findings = { findings: z.array(Finding), findingsTotal: z.number() }

export const ReceiverEvent = z.discriminatedUnion('event', [
  /** the agent can be started */
  z.object({ event: z.literal('listening') }),
  /** found since the last time */
  z.object({ event: z.literal('orphans'), orphans: z.array(Orphan) }),
  z.object({
    event: z.literal('mirrored'), files: z.number(), bytesSent: z.number(), bytesSentCompressed: z.number(), bytesSkipped: z.number(), durationMs: z.number(), ...Findings,
    orphans: OrphanTotals,
    /** processor time that the whole machine spent meanwhile */
    machineCpuMs: z.number(),
    /** the most memory that the receiver had resident so far */
    peakBytes: z.number(),
  }),
  z.object({ event: z.literal('progress'), progress: MirrorProgress }),
  z.object({ event: z.literal('verifying'), progress: VerifyProgress }),
  z.object({ event: z.literal('verified'), verified: VerifyProgress, found: z.number(), repaired: z.number(), durationMs: z.number(), ...Findings }),
  z.object({
    event: z.literal('drained'), changes: z.number(), latencyMsP50: z.number(), latencyMsP99: z.number(), latencyMsMax: z.number(), drainMs: z.number(), bytesSent: z.number(),
    /** how long the source was frozen until it was drained, when it is; it stays so until standard input says to thaw it */
    frozenMs: z.number().optional(), ...Findings,
    /** how changes were seen, and what of the capture was less than it should be at any time */
    tier: z.string(), degradations: z.array(DegradationKind),
  }),
  z.object({ event: z.literal('thawed') }),
  z.object({ event: z.literal('task'), script: z.string(), exitCode: z.number().nullable(), timedOut: z.boolean(), output: z.string() }),
  z.object({ event: z.literal('failed'), code: z.string(), message: z.string() }),
])
export type ReceiverEvent = z.infer<typeof ReceiverEvent>
