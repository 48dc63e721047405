/**
 * The appliance's conversation with one connected source server. It carries a job's mirror and replication into target trees, drains and
 * freezes the source at cutover, and lets it go. It holds no job state: the job's steps do. One object is one connection: when the link
 * ends every call fails with LINK_LOST and `ended` is aborted; the agent connects again by itself and a new object appears.
 */
import type { Finding } from '../domain/finding.ts'
import type { Orphan } from '../domain/orphan.ts'
import type { MirrorProgress, ReplicationProgress } from '../domain/progress.ts'
import type { Rule } from '../domain/rule.ts'
import type { Transmission } from '../domain/transmission.ts'
import type { Difference, VerifyProgress } from '../domain/verification.ts'
import type { Workload } from '../domain/workload.ts'
import type { Quiesce } from '../domain/quiesce.ts'
import type { TargetTree } from '../tree/target-tree.ts'
import type { MirrorRequest, QuiesceNote, Reached, VerifyRequest, VolumeRoot } from '../wire/messages.ts'

/** Where the operations of each volume go, by the volume's index on the wire. */
export type Targets = ReadonlyMap<number, TargetTree>

/** Told of the figures, and of findings and orphans since the last call; `replication`: of what goes on beside the mirror. */
export type MirrorListener = (progress: MirrorProgress, findings: readonly Finding[], orphans: readonly Orphan[], replication?: ReplicationProgress) => void

export interface MirrorReport { progress: MirrorProgress, findings: readonly Finding[] }
/** Takes what a verification tells. Differences that are not taken yet hold the agent up. */
export interface VerifySink {
  differences: (differences: readonly Difference[]) => Promise<void>
  progress: (progress: VerifyProgress) => void
}
export interface DrainReport { changes: number, drainMs: number, frozenAtMs: number | undefined, stoppedAtMs?: number | undefined, progress: ReplicationProgress }

export interface DrainRequest {
  freeze: boolean
  holdMs: number
  /** scripts run and services stopped before the freeze; started again when the source thaws */
  quiesce?: Quiesce | undefined
  /** told of each step of it */
  note?: (note: QuiesceNote) => Promise<void>
}

export interface SourceServer extends AsyncDisposable {
  readonly sourceId: string
  readonly agentVersion: string
  /** capture epoch and job that the agent named when it connected; '' when it captures nothing */
  readonly captureEpoch: string
  readonly capturingJobId: string
  /** aborted when the connection has ended */
  readonly ended: AbortSignal
  /** How data goes over this connection from now on, at once and both ways; without it, at full speed and as it is. @throws {AppError} LINK_LOST */
  transmit(how: Transmission, signal: AbortSignal): Promise<void>
  /** bytes that came from the source so far */
  readonly bytesReceived: number
  /** What waits at the source: changes, and the age of the oldest; 0 when there is none. */
  queue(signal: AbortSignal): Promise<{ queued: number, oldestMs: number }>
  /** Resolves when everything that was captured until now is durable on the replica: only while it replicates that gets anywhere. @throws {AppError} LINK_LOST */
  whenReplicated(signal: AbortSignal): Promise<void>
  describe(signal: AbortSignal): Promise<Workload>
  /**
   * Opens the volumes and starts the capture; when it runs for this job, these volumes and rules already, goes on with it.
   * `reached`: how far it had come; where that is further than it says now, the source was set back, and all is compared again.
   * @throws {AppError} SOURCE_MISSING, SOURCE_UNSUPPORTED, CAPTURE_UNSUPPORTED, RULE_INVALID
   */
  prepare(jobId: string, volumes: readonly VolumeRoot[], rules: readonly Rule[], signal: AbortSignal, options?: { reached?: Reached | undefined }): Promise<{ captureEpoch: string }>
  /**
   * Mirrors all prepared volumes; resolves when all is applied and flushed. What it has passed is replicated meanwhile.
   * @param options settledBeforeMs: what was written on the replicas since then, by the clock of this side, is not believed to be what its attributes say
   * @throws {AppError} LINK_LOST, REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE
   */
  mirror(request: MirrorRequest, targets: Targets, report: MirrorListener, signal: AbortSignal, options?: { settledBeforeMs?: number | undefined }): Promise<MirrorReport>
  /**
   * Compares all prepared volumes with their replicas and tells what differs; writes nothing to either. Resolves with the final figures.
   * @throws {AppError} LINK_LOST, SOURCE_UNREADABLE, REPLICA_WRITE when the replica cannot be read, and what the sink throws
   */
  verify(request: VerifyRequest, targets: Targets, sink: VerifySink, signal: AbortSignal): Promise<VerifyProgress>
  /** Replicates until the signal aborts (then pauses the agent in good order and resolves) or the link ends (LINK_LOST). */
  replicate(targets: Targets, report: (progress: ReplicationProgress, findings: readonly Finding[]) => void, signal: AbortSignal): Promise<void>
  /** Brings every change to the replica; with `freeze` the source's file systems are frozen before the last look and stay frozen. holdMs: the source thaws by itself when nobody calls hold() for so long. */
  drain(options: DrainRequest, targets: Targets, report: (progress: ReplicationProgress, findings: readonly Finding[]) => void, signal: AbortSignal): Promise<DrainReport>
  /** Keeps the source frozen; answers false when it has thawed meanwhile (then the cutover must not go on). */
  /** `forMs`: it stays frozen for so long though nobody calls, as long as its agent lives. */
  hold(signal: AbortSignal, forMs?: number): Promise<boolean>
  /** Lets the source run on, its services too; the answer says which were started. */
  thaw(signal: AbortSignal): Promise<readonly QuiesceNote[]>
  /** Switches the source off (or, as the agent is configured, leaves it frozen). */
  powerOff(signal: AbortSignal): Promise<void>
  /** Capture off, thawed, nothing left of the job on the source. `completed`: the replica serves now, what was stopped stays so. */
  release(signal: AbortSignal, options?: { completed: boolean }): Promise<void>
}

/** The connected sources, by source id. */
export interface ConnectedSources {
  /** The connection of this source, or undefined. */
  find(sourceId: string): SourceServer | undefined
  /** Waits until the source is connected. */
  waitFor(sourceId: string, signal: AbortSignal): Promise<SourceServer>
}
