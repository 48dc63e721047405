/** A job: the migration of one source to one replica. Records of the store and bodies of the API. */
import { z } from 'zod'
import { isMirrorRequired } from './degradation.ts'
import { Finding } from './finding.ts'
import { LayoutOptions } from './layout-options.ts'
import { NetworkSettings } from './network-settings.ts'
import { OrphanPolicy } from './orphan.ts'
import { MirrorProgress, ReplicationProgress } from './progress.ts'
import { Quiesce } from './quiesce.ts'
import { Rehearsal } from './rehearsal.ts'
import { BootProof, BuiltReplica, FixUpReport, ReplicaPlan, Screenshot } from './replica.ts'
import { MAX_RULES, Rule } from './rule.ts'
import { DiskFormat } from './target.ts'
import { TestCutover } from './test-cutover.ts'
import { Bandwidth, Compression, Ratio } from './transmission.ts'
import { BandwidthSchedule, TransmitSchedule } from './transmit-schedule.ts'
import { MAX_USER_TASKS, UserTask } from './user-task.ts'
import { Workload } from './workload.ts'

export const JobState = z.enum(['created', 'validating', 'invalid', 'ready', 'provisioning', 'mirroring', 'protecting', 'stopped', 'cutting-over', 'completed', 'failed', 'removing', 'removed'])
export type JobState = z.infer<typeof JobState>

/** What a user can ask of a job: POST /jobs/{id}/actions/{action}. */
export const JobAction = z.enum(['validate', 'start', 'pause', 'resume', 'stop', 'rehearse', 'test-cutover', 'undo-test-cutover', 'cutover', 'remirror', 'retry', 'remove'])
export type JobAction = z.infer<typeof JobAction>

/** Whether data flows to the replica: a status beside the state. paused, scheduled: changes wait at the source. stopped: none are captured. */
export const TransmitMode = z.enum(['active', 'paused', 'scheduled', 'stopped'])
export type TransmitMode = z.infer<typeof TransmitMode>

const name = z.string().min(1).max(80).regex(/^[A-Za-z0-9][A-Za-z0-9._ -]*$/, 'letters, digits, dot, dash, underscore and blank, starting with a letter or digit')

export const NetworkMapping = z.object({
  sourceMac: z.string(),
  /** null: adapter discarded */
  network: z.string().nullable(),
  /** left out: the replica's adapter has the settings of the source's */
  settings: NetworkSettings.optional(),
})
export type NetworkMapping = z.infer<typeof NetworkMapping>

export const Script = z.object({ content: z.string().max(65536), arguments: z.array(z.string()).max(64), timeoutMs: z.number().int().min(1000).max(3600_000) })
export type Script = z.infer<typeof Script>

export const JobOptions = z.object({
  /** mount points of the volumes to migrate; the required ones are always in; empty = all that can be */
  volumes: z.array(z.string()),
  datastore: z.string().min(1),
  /** display name of the replica VM */
  vmName: name,
  networks: z.array(NetworkMapping),
  /** network for every adapter that `networks` does not name */
  defaultNetwork: z.string().optional(),
  diskFormat: DiskFormat.default('thin'),
  /** left out: as on the source */
  layout: LayoutOptions.optional(),
  sockets: z.number().int().min(1).max(128).optional(),
  coresPerSocket: z.number().int().min(1).max(128).optional(),
  memoryMiB: z.number().int().min(256).optional(),
  compare: z.enum(['none', 'attributes', 'data']).default('none'),
  /** what of the source belongs to the replica; without any, everything does */
  rules: z.array(Rule).max(MAX_RULES).default([]),
  orphans: z.enum(['keep', 'delete']).default('delete'),
  orphansOlderThanMs: OrphanPolicy.shape.orphansOlderThanMs,
  removeOutside: OrphanPolicy.shape.removeOutside,
  /** how a mirror that is needed again finds what differs: by checksums, by attributes, not at all (full); off: it waits for a person */
  autoRemirror: z.enum(['checksum', 'attributes', 'full', 'off']).default('attributes'),
  /** on the wire, in each direction; left out: no limit */
  bandwidthBytesPerS: Bandwidth.optional(),
  /** wins over it in its windows */
  bandwidthSchedule: BandwidthSchedule.default([]),
  compression: Compression.default('off'),
  /** names that vanish on the source stay on the replica, as orphans do */
  ignoreDeletes: z.boolean().default(false),
  /** how mirror and replication share the line while both have something to send; left out: evenly */
  ratio: Ratio.optional(),
  /** when data is sent; left out: always */
  transmitSchedule: TransmitSchedule.optional(),
  cutover: z.enum(['manual', 'automatic']).default('manual'),
  shutDownSource: z.boolean().default(true),
  postFailover: Script.optional(),
  /** what comes to rest on the source before it is frozen */
  quiesce: Quiesce.optional(),
})
export type JobOptions = z.infer<typeof JobOptions>

/** Options that may change at any time: they hold at once. Left out: stays as it is. null: taken away. */
export const EditJob = z.strictObject({
  bandwidthBytesPerS: Bandwidth.nullable(), bandwidthSchedule: BandwidthSchedule, compression: Compression, transmitSchedule: TransmitSchedule.nullable(),
  autoRemirror: z.enum(['checksum', 'attributes', 'full', 'off']), ignoreDeletes: z.boolean(), ratio: Ratio,
}).partial()
export type EditJob = z.infer<typeof EditJob>

/** Opens what is encrypted anew. It is typed at a console whose keyboard nobody has set up: printable ASCII. */
export const Passphrase = z.string().regex(/^[\x20-\x7e]{8,512}$/, '8 to 512 characters of printable ASCII')

export const CreateJob = z.object({
  name, source: z.string().min(1), vmware: z.string().min(1), options: JobOptions,
  /** needed, and only taken, where encrypted volumes are encrypted anew; kept sealed, never shown again */
  passphrase: Passphrase.optional(),
})
export type CreateJob = z.infer<typeof CreateJob>

export const PhaseTime = z.object({ phase: z.string(), startedAtUtc: z.string(), endedAtUtc: z.string().optional() })
export type PhaseTime = z.infer<typeof PhaseTime>

export const JobError = z.object({ code: z.string(), message: z.string(), operator: z.string(), atUtc: z.string() })
export type JobError = z.infer<typeof JobError>

export const Job = z.object({
  version: z.literal(1),
  id: z.string(), name: z.string(),
  /** ids in the store; names in a JobView */
  source: z.string(), vmware: z.string(),
  state: JobState,
  health: z.enum(['ok', 'warning', 'error', 'unknown']),
  /** what is going on, one line */
  activity: z.string(),
  options: JobOptions,
  workload: Workload.optional(),
  plan: ReplicaPlan.optional(),
  built: BuiltReplica.optional(),
  validation: z.array(Finding),
  /** findings of the mirror, the first 1000; `mirror.findings` counts all */
  findings: z.array(Finding),
  mirror: MirrorProgress.optional(),
  /** a person has paused the flow of data */
  paused: z.boolean().optional(),
  /** what the flow does while there is one */
  transmitMode: TransmitMode.optional(),
  /** of the schedule: the beginning of the last transmission */
  transmissionBeganAtUtc: z.string().optional(),
  /** commands of users in the stream, oldest first */
  userTasks: z.array(UserTask).max(MAX_USER_TASKS).optional(),
  /** a mirror was complete once: what later ones skip was sent by us */
  mirrored: z.boolean().optional(),
  replication: ReplicationProgress.optional(),
  /** capture epoch of the agent on which replication stands, set when a mirror is complete; another one, or none, means that a new mirror is needed */
  captureEpoch: z.string().optional(),
  /** what was written on the replica before this, in milliseconds of the appliance's clock, is what the source had, as far as this capture knew; '' when that is forgotten */
  settled: z.object({ captureEpoch: z.string(), beforeMs: z.number() }).optional(),
  /** the last steps of a cutover that are done, so that a restart goes on behind them */
  cutoverSteps: z.array(z.string()),
  /** the cutover is complete, and the source is still to be told */
  finishOwed: z.boolean().optional(),
  /** a cutover was undone while the source was away: it may still be frozen, and is thawed when it is there */
  thawOwed: z.boolean().optional(),
  /** boot id of the appliance's kernel that wrote the replica last, undefined after an orderly unmount: under another one, unflushed data may be lost */
  mirrorBootId: z.string().optional(),
  /** what the last cutover changed on the replica so that it boots; these files differ from the source's */
  fixUps: FixUpReport.optional(),
  /** the last rehearsal of the boot fix-ups, or the one that is to come */
  rehearsal: Rehearsal.optional(),
  /** the last test cutover, beside the state */
  testCutover: TestCutover.optional(),
  proof: BootProof.optional(),
  /** of the replica after its report at the last cutover, or before it was switched off because none came */
  screenshot: Screenshot.optional(),
  /** how a removal was asked for */
  keepDisks: z.boolean().optional(),
  phases: z.array(PhaseTime),
  downtimeMs: z.number().optional(),
  lastError: JobError.optional(),
  createdAtUtc: z.string(), updatedAtUtc: z.string(),
})
export type Job = z.infer<typeof Job>

/** Whether the replica has what the source has. */
export const TargetDataState = z.enum(['not-ready', 'mirroring', 'mirror-required', 'ok', 'busy'])
export type TargetDataState = z.infer<typeof TargetDataState>

/** ok: it follows the source, as far behind as the recovery point latency says. Pure. */
export function targetDataState({ state, mirrored, replication, captureEpoch }: Pick<Job, 'state' | 'mirrored' | 'replication' | 'captureEpoch'>): TargetDataState {
  switch (state) {
    case 'created': case 'validating': case 'invalid': case 'ready': case 'removed': return 'not-ready'
    case 'mirroring': return 'mirroring'
    case 'protecting': return captureEpoch === undefined || isMirrorRequired(replication?.degraded ?? []) ? 'mirror-required' : 'ok'
    case 'cutting-over': case 'removing': return 'busy'
    case 'completed': return 'ok'
    case 'provisioning': case 'stopped': case 'failed': return mirrored === true ? 'mirror-required' : 'not-ready'
  }
}

/** What the API answers for a job: the record, the actions offered now, whether the source is connected, and the state of the replica's data. */
export const JobView = Job.extend({ transmitMode: TransmitMode, actions: z.array(JobAction), sourceConnected: z.boolean(), targetData: TargetDataState.optional() })
export type JobView = z.infer<typeof JobView>

/** One line of a job's append-only history. */
export const JobEventRecord = z.object({ sequence: z.number().int(), jobId: z.string(), atUtc: z.string(), kind: z.string(), message: z.string() })
export type JobEventRecord = z.infer<typeof JobEventRecord>
