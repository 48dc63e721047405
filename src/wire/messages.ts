/**
 * The protocol between agent and appliance, version 3. The agent dials the appliance's replication port, TLS 1.3, both sides with
 * certificates of the appliance's CA; then:
 *
 *   agent       hello (version, agent id, capture epoch)
 *   appliance   welcome, or refuse (code, message) and close
 *   appliance   describe -> agent: workload
 *   appliance   prepare (job, volumes, rules) -> agent: prepared (capture epoch); capture runs from here on, and all that follows obeys the rules
 *   appliance   mirror -> agent: list / hash / digests requests (answered by listing / hashes / same), operations,
 *               mirror-progress / mirror-orphans ..., mirror-complete
 *   appliance   verify -> agent: list / hash requests, verify-progress, differences ..., verify-complete; no operations
 *   appliance   replicate -> agent: operations, replication-progress ..., until: cancel -> agent: cancelled
 *   appliance   queue -> agent: queued (what waits; also while nothing is replicated)
 *   appliance   barrier -> agent: passed (all that was captured before it is durable; beside replicate)
 *   appliance   drain -> agent: operations ..., quiesce-note ... (scripts run, services stopped), drained (source frozen, everything sent acknowledged as durable)
 *   appliance   hold (every few seconds while frozen), then power-off, or thaw -> agent: thawed
 *   appliance   release -> agent: released (capture off, thawed)
 *   appliance   cancel -> agent: cancelled (or the answer, when it was on its way): nothing of the request is sent behind it
 *   appliance   transmission (any time behind the welcome): how the agent sends from then on; the appliance does the same by itself
 *   either      failed (answers the request it names)
 *
 * A list request's pages may be 1 MiB ahead of the agent's consumer; `listed` says how many bytes of pages it has taken since the last
 * time. Only so much is ever waiting in the agent, and a directory of a million entries never stops the rest of the conversation.
 *
 * The appliance answers operations with acknowledge: `applied` and `durable` are sequence numbers up to which all is applied, and flushed.
 * It flushes when operations pause or have piled up; during a mirror it does so seldom, and the agent says `flush` when it waits for all that
 * it has sent to be durable.
 * One stream of operations per connection, sequences from 1 without gaps. Requests carry an id; the answer repeats it.
 */
import { z } from 'zod'
import { Finding } from '../domain/finding.ts'
import { Orphan, OrphanPolicy } from '../domain/orphan.ts'
import { CapturePosition, MirrorProgress, ReplicationProgress } from '../domain/progress.ts'
import { Quiesce } from '../domain/quiesce.ts'
import type { RelPath } from '../domain/rel-path.ts'
import { MAX_RULES, Rule } from '../domain/rule.ts'
import { Transmission } from '../domain/transmission.ts'
import { Difference, VerifyBy, VerifyProgress } from '../domain/verification.ts'
import { Workload } from '../domain/workload.ts'
import { MAX_FINDING_TEXT, MAX_GREETING_TEXT } from './limits.ts'
import type { DirectoryDigest, ListingPage } from './listing-codec.ts'
import type { OperationBatch } from './operation-codec.ts'

export const PROTOCOL_VERSION = 3

/** what a source says of itself is kept and shown */
const label = z.string().max(MAX_GREETING_TEXT)
const text = z.string().max(MAX_FINDING_TEXT)
const SentFinding = z.object({ ...Finding.shape, code: label, subject: text, message: text, advice: text })
const id = z.number().int().nonnegative()
const control = <K extends string, S extends z.ZodRawShape>(kind: K, shape: S) => z.strictObject({ kind: z.literal(kind), ...shape })
const loose = <K extends string, S extends z.ZodRawShape>(kind: K, shape: S) => z.object({ kind: z.literal(kind), ...shape })

export const VolumeRoot = z.strictObject({
  index: z.number().int().min(0).max(65535), path: z.string(),
  /** where the volume is mounted for the rules, which name things from the root of the source; left out: at `path` */
  mountPoint: z.string().startsWith('/').max(4096).optional(),
})
export type VolumeRoot = z.infer<typeof VolumeRoot>

export const MirrorRequest = OrphanPolicy.extend({
  compare: z.enum(['none', 'attributes', 'data']),
  /** nothing is changed: orphans are found and reported, with what would become of them */
  orphansPreview: z.boolean().optional(),
})
export type MirrorRequest = z.infer<typeof MirrorRequest>

export const VerifyRequest = z.strictObject({ by: VerifyBy })
export type VerifyRequest = z.infer<typeof VerifyRequest>

/** How many differences one message may carry. */
export const MAX_DIFFERENCES = 500

/**
 * What an interrupted mirror has left on a volume, by the ctimes of the replica's objects in milliseconds. `sentSinceMs`: what was written last
 * from then on was sent by a mirror that compares nothing (null: nothing was). `unsure`: what was written last in between (from, to) may have
 * been torn by a power loss, though its attributes are right. `forgottenForMs`: for so long changes of the source may have been captured and forgotten (null:
 * none were); a program may have given a file its old times again.
 */
export const ResumePoint = z.strictObject({
  volume: z.number().int().min(0).max(65535), sentSinceMs: z.number().nullable(), unsure: z.array(z.tuple([z.number(), z.number()])).max(64), forgottenForMs: z.number().nonnegative().nullable(),
})
export type ResumePoint = z.infer<typeof ResumePoint>

/** Longest text about what of an operation was refused. */
export const MAX_REFUSED_CHARACTERS = 2000

/** An operation of a batch that the replica could not apply, or not all of it: see ApplyFailure. `path` is base64 of the bytes. */
export const AppliedFailure = z.object({
  sequence: id, volume: id, index: id, operation: z.string(), path: z.string(), errno: z.string(), what: z.string().max(MAX_REFUSED_CHARACTERS), partial: z.boolean(),
})
export type AppliedFailure = z.infer<typeof AppliedFailure>

/** The longest that a source may be asked to stay frozen without hearing anything. */
export const MAX_HOLD_MS = 25 * 3600_000

/** What one quiescing, or one thaw, tells at most. */
export const MAX_QUIESCE_NOTES = 65
/** How far the capture of this epoch had come when the appliance was told last. */
export const Reached = z.strictObject({ captureEpoch: label, position: CapturePosition })
export type Reached = z.infer<typeof Reached>

/** A line for the job's history about what came to rest on the source, or up again. */
export const QuiesceNote = z.object({ kind: z.enum(['pre-script', 'services-stopped', 'services-started']), message: text })
export type QuiesceNote = z.infer<typeof QuiesceNote>

export const Control = z.discriminatedUnion('kind', [
  // read loosely: another version must be able to say that it is one
  loose('hello', { protocolVersion: z.number().int(), agentVersion: label, captureEpoch: label, jobId: label }),
  control('welcome', { applianceVersion: z.string() }),
  loose('refuse', { code: z.string(), message: z.string() }),
  control('barrier', { id }), control('passed', { id }),
  control('queue', { id }), control('queued', { id, queued: id, oldestMs: z.number().nonnegative() }),
  control('describe', { id }), control('workload', { id, workload: Workload }),
  control('prepare', { id, jobId: z.string(), volumes: z.array(VolumeRoot), rules: z.array(Rule).max(MAX_RULES), reached: Reached.optional() }), control('prepared', { id, captureEpoch: label }),
  control('mirror', { id, request: MirrorRequest, resume: z.array(ResumePoint) }),
  control('mirror-progress', { id, progress: MirrorProgress, findings: z.array(SentFinding) }),
  control('mirror-orphans', { id, orphans: z.array(Orphan) }),
  control('mirror-complete', { id, progress: MirrorProgress }),
  control('verify', { id, request: VerifyRequest, roots: z.array(z.strictObject({ volume: id, page: z.base64() })).max(1024) }),
  control('verify-progress', { id, progress: VerifyProgress }), control('differences', { id, differences: z.array(Difference).min(1).max(MAX_DIFFERENCES) }),
  control('verify-complete', { id, progress: VerifyProgress }),
  control('replicate', { id }), control('replication-progress', { id, progress: ReplicationProgress, findings: z.array(SentFinding) }),
  control('drain', { id, freeze: z.boolean(), holdMs: z.number().int(), quiesce: Quiesce.optional() }), control('quiesce-note', { id, note: QuiesceNote }),
  control('drained', { id, changes: id, drainMs: z.number(), frozenAtMs: z.number().optional(), stoppedAtMs: z.number().optional(), progress: ReplicationProgress }),
  control('hold', { id, forMs: z.number().int().min(1).max(MAX_HOLD_MS).optional() }), control('held', { id, frozen: z.boolean() }),
  control('thaw', { id }), control('thawed', { id, notes: z.array(QuiesceNote).max(MAX_QUIESCE_NOTES).optional() }),
  control('power-off', { id }), control('powering-off', { id }),
  control('release', { id, completed: z.boolean().optional() }), control('released', { id }),
  control('transmission', { how: Transmission }),
  control('listed', { request: id, bytes: id }),
  control('flush', {}),
  control('cancel', { id }), control('cancelled', { id }),
  control('acknowledge', { applied: id, durable: id, failures: z.array(AppliedFailure) }),
  control('failed', { id, code: label, message: text }),
])
export type Control = z.infer<typeof Control>

/** They say that work has ended, or ask about what was sent: they stay behind the data that was sent before them. */
const IN_ORDER: ReadonlySet<Control['kind']> = new Set<Control['kind']>(['flush', 'mirror-complete', 'verify-complete', 'drained', 'released', 'cancelled', 'failed'])

/** Whether a message may go before data that waits, so that no amount of data keeps it up. */
export function isUrgent(message: Message): boolean {
  return message.type === 'control' && !IN_ORDER.has(message.control.kind)
}

export type Message =
  | { type: 'control', control: Control }
  | { type: 'operations', volume: number, sequence: number, batch: OperationBatch }
  /** asks for the whole listing of directories of the replica; several at once, answered in order */
  | { type: 'list', volume: number, request: number, directories: readonly RelPath[] }
  /** one page of directory number `directory` of the request; `last` ends that directory */
  | { type: 'listing', volume: number, request: number, directory: number, last: boolean, page: ListingPage }
  | { type: 'hash', volume: number, request: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number }
  | { type: 'hashes', volume: number, request: number, hashes: Buffer }
  /** asks which directories of the replica hold exactly what the digests tell */
  | { type: 'digests', volume: number, request: number, directories: readonly DirectoryDigest[] }
  /** a byte for each: 1 when it does, 0 when it does not or that cannot be told so */
  | { type: 'same', volume: number, request: number, same: Buffer }
