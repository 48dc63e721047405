/** The form of a boot fix-up: one row of the list in cutover.md. What it does to files shows in the report by itself. */
import type { RunResult } from '../command/runner.ts'
import type { Finding } from '../domain/finding.ts'
import type { JobOptions } from '../domain/job.ts'
import type { FixUpResult, ReplicaPlan } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'
import { AppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

export interface GuestOptions { timeoutMs: number, input?: string, env?: Readonly<Record<string, string>>, allowedExitCodes?: readonly number[] }

/** The replica, assembled, as a fix-up sees it. */
export interface AssembledReplica {
  plan: ReplicaPlan
  workload: Workload
  options: JobOptions
  files: ReplicaFiles
  /** the first disk, the one the firmware starts from, as its device is called inside the root */
  bootDevice: string
  /** UUID of the first virtual disk, '' when it is not known */
  bootDiskUuid: string
  /** a layer over the replica's volumes is written to in any case; in a rehearsal nothing that lies on a disk outside of them, either */
  rehearsal?: boolean | undefined
  /** room at a path, where `files` cannot tell */
  space?: ((path: string) => Promise<{ freeBytes: number, freeInodes: number }>) | undefined
  /** Runs one of the replica's programs inside it. @throws {AppError} TOOL_FAILED, TOOL_TIMEOUT */
  run: (program: string, args: readonly string[], options: GuestOptions, signal: AbortSignal) => Promise<RunResult>
}

export interface Reusable {
  /** directories that it is made from beside those of the system */
  from?: readonly ReplicaPath[]
  /** Does what lies outside of files. @returns false when only the whole fix-up can */
  finish?: (replica: AssembledReplica, signal: AbortSignal) => Promise<boolean>
}

export interface FixUp {
  /** row of cutover.md */
  id: string
  title: string
  /** its failure stops the cutover; otherwise it is reported and the next one goes on */
  required: boolean
  /** it takes long: what it made in a rehearsal is used while what it is made from is as it was */
  reusable?: Reusable
  /** @returns what was done, one sentence each; nothing when there was nothing to do */
  fix: (replica: AssembledReplica, signal: AbortSignal) => Promise<readonly string[]>
}

/** For a fix-up that cannot succeed. */
export function fixUpFailed(message: string, cause?: unknown): AppError<'BOOT_FIXUP_FAILED'> {
  return new AppError('BOOT_FIXUP_FAILED', message, cause === undefined ? {} : { cause })
}

/** What the job is told of a fix-up: each thing that was done, or that it failed. Pure. */
export function findingsOf({ id, title, outcome, messages }: Pick<FixUpResult, 'id' | 'title' | 'outcome' | 'messages'>): Finding[] {
  if (outcome !== 'failed') return messages.map(message => ({ code: `BOOT_FIXUP_${id.toUpperCase()}`, severity: 'ok', subject: title, message, advice: '' }))
  return [{ code: 'BOOT_FIXUP_FAILED', severity: 'warning', subject: title, message: messages.join('; '), advice: CODES.BOOT_FIXUP_FAILED.operator }]
}
