/**
 * What a step is and what it may use. A step does the work of one state and answers with the event that happened; it may run again from its start,
 * so it looks first and makes what is missing. It takes only the seams it names, knows no other step, and never writes a job's state.
 */
import type { Clock } from '../clock/clock.ts'
import type { ScriptRunner } from '../command/script-runner.ts'
import type { Finding } from '../domain/finding.ts'
import type { Job, JobOptions } from '../domain/job.ts'
import type { BuiltReplica, FixUpReport, ReplicaPlan } from '../domain/replica.ts'
import type { Places } from '../domain/target.ts'
import type { Workload } from '../domain/workload.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { Logger } from '../logging/logger.ts'
import type { ConnectedSources } from '../source/source-server.ts'
import type { MountedVolume, VolumeStack } from '../storage/volume-stack.ts'
import type { TargetTree } from '../tree/target-tree.ts'
import type { JobEvent } from './job-state.ts'
import type { JobStore } from './job-store.ts'

/** Fields of a job that a step may change; undefined clears an optional one. */
export type JobChange = { [K in keyof Omit<Job, 'version' | 'id' | 'name' | 'state' | 'source' | 'vmware' | 'createdAtUtc' | 'updatedAtUtc'>]?: Job[K] | undefined }

/** One job, as its step sees it. */
export interface JobHandle {
  /** the record with all changes so far */
  readonly record: Job
  /** On disk when it resolves. */
  update(change: JobChange): Promise<void>
  /** As update, decided on the record as it is in that moment: for what a person may change, too. */
  amend(change: (record: Job) => JobChange): Promise<void>
  /** Figures: watchers see them at once, the store at most once a second; errors of the store show at the next `update`. */
  progress(change: JobChange): void
  /** Resolves when a person changes what may change at any time: options, or the pause. Also at the abort. */
  ordered(signal: AbortSignal): Promise<void>
  /** Adds a line to the job's history. */
  note(kind: string, message: string): Promise<void>
}

/** A step. `undefined`: stay in the state. An abort ends it soon, in good order; what it made until then is recorded. */
export type Step = (job: JobHandle, signal: AbortSignal) => Promise<JobEvent | undefined>

export interface PlanRequest { jobId: string, workload: Workload, options: JobOptions, places: Places }
export interface BuildRequest { jobId: string, plan: ReplicaPlan, built: BuiltReplica, hypervisor: Hypervisor, volumes: VolumeStack, passphrase: () => Promise<string> }
export interface BootRequest {
  jobId: string
  plan: ReplicaPlan
  workload: Workload
  options: JobOptions
  built: BuiltReplica
  volumes: VolumeStack
  mounted: readonly MountedVolume[]
}
export interface DiscardRequest { jobId: string, built: BuiltReplica, hypervisor: Hypervisor, volumes: VolumeStack, keepDisks: boolean }

/** What is done to a replica; the real one is made of the functions of `replica/`. */
export interface ReplicaWork {
  /** Pure. The findings are the whole validation: without an error among them the plan can be built. */
  plan(request: PlanRequest): { plan: ReplicaPlan | undefined, findings: readonly Finding[] }
  /** Disks made, attached, partitioned, encrypted, formatted, mounted, as far as they are not; `keep` after each effect. */
  build(request: BuildRequest, keep: (built: BuiltReplica) => Promise<void>, signal: AbortSignal): Promise<readonly MountedVolume[]>
  /**
   * Makes the mounted replica boot on the target, all of it or nothing: until `beforeChanges` is called, when all has passed, the volumes are as they were, and from then on
   * `restore` can make them so again. `keepReport` also when it fails. May be repeated. @throws {AppError} BOOT_FIXUP_FAILED
   */
  makeBootable(request: BootRequest, on: { keepReport: (report: FixUpReport) => Promise<void>, beforeChanges: () => Promise<void> }, signal: AbortSignal): Promise<readonly Finding[]>
  /**
   * Takes back what `makeBootable` changed, wherever it was broken off; nothing when there is nothing. `found`: files had been, or were about to be, changed;
   * `lost`: in which respect the volumes are not what they were. @throws {AppError} when they may not be what they were
   */
  restore(request: Pick<BootRequest, 'jobId' | 'built' | 'volumes' | 'mounted'>, signal: AbortSignal): Promise<{ found: boolean, lost?: string }>
  /** Nobody will ask for `restore` any more; also takes away what a crash left of layers, which holds the disks. */
  forgetFixUps(request: Pick<BootRequest, 'jobId' | 'volumes'>): Promise<void>
  /** The same on a throw-away layer: the replica stays as it is, and replication may go on. @throws {AppError} BOOT_FIXUP_FAILED */
  rehearse(request: BootRequest, keepReport: (report: FixUpReport) => Promise<void>, signal: AbortSignal): Promise<readonly Finding[]>
  /** Whether the cutover, were it now, would find the system as the last rehearsal did, and could use what that made. */
  isAsRehearsed(request: BootRequest, signal: AbortSignal): Promise<boolean>
  /** Unmounted, detached, and the disks deleted unless they are kept; `keep` after each effect. */
  discard(request: DiscardRequest, keep: (built: BuiltReplica) => Promise<void>, signal: AbortSignal): Promise<void>
}

/** Deadlines and intervals, so that a lab can shorten them. */
export interface JobTimes {
  /** how long a source has to connect before a validation or a cutover gives up */
  connectMs: number
  /** longest drain */
  drainMs: number
  /** the source thaws by itself after so long without a hold */
  holdMs: number
  /** longest wait for the replica's first sign of life */
  bootMs: number
  /** longest check of the replica's file systems at a cutover, for which a frozen source waits */
  checkMs: number
}

export const DEFAULT_TIMES: JobTimes = { connectMs: 30_000, drainMs: 1800_000, holdMs: 60_000, bootMs: 900_000, checkMs: 60_000 }

/** The passphrases of jobs whose volumes are encrypted anew, sealed; `server/server-store.ts` keeps them. */
export interface Passphrases {
  /** @throws {AppError} STORE_INVALID when it cannot be decrypted */
  get(jobId: string): Promise<string | undefined>
  /** Fine when there is none. */
  remove(jobId: string): Promise<void>
}

export interface Seams {
  passphrases: Passphrases
  /** runs the tasks of users */
  scripts: ScriptRunner
  sources: ConnectedSources
  /** a connection to the VMware server with this id; the caller disposes of it */
  openHypervisor: (vmwareId: string, signal: AbortSignal) => Promise<Hypervisor>
  volumes: VolumeStack
  /** the root of a mounted volume that bears this id */
  openTarget: (mountPoint: string, volumeId: string, signal: AbortSignal) => Promise<TargetTree>
  replica: ReplicaWork
  store: JobStore
  clock: Clock
  log: Logger
  times: JobTimes
  /** changes with each start of the appliance's kernel */
  bootId: string
}
