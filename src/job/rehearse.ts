/**
 * Rehearses the boot fix-ups on a throw-away layer, while replication goes on: after each mirror, when a person asks, and before a cutover whose job has
 * not passed one. The replica is not touched; a failure is told, and the cutover tries again before anything happens to the source.
 */
import type { Job } from '../domain/job.ts'
import { isAppError } from '../errors/app-error.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { planned } from './open-replica.ts'
import { disksInUse } from './stand-ins.ts'
import type { BootRequest, JobHandle, Seams } from './step.ts'

/** In so much time a source gets new kernels, or other settings. */
const CURRENT_MS = 24 * 3600_000

type RehearsalSeams = Pick<Seams, 'replica' | 'volumes' | 'clock'>

/** Whether it passed, and not too long ago: then the cutover does nothing for the first time. Pure. */
export function isCurrent(rehearsal: Job['rehearsal'], nowMs: number): boolean {
  return rehearsal?.state === 'passed' && rehearsal.endedAtUtc !== undefined && nowMs - Date.parse(rehearsal.endedAtUtc) < CURRENT_MS
}

/** Whether a cutover needs one first: its fix-ups must do nothing for the first time, and nothing that takes long while the source is frozen. */
export async function needsRehearsal(seams: RehearsalSeams, job: JobHandle, mounted: readonly MountedVolume[], signal: AbortSignal): Promise<boolean> {
  return !isCurrent(job.record.rehearsal, seams.clock.now()) || !await seams.replica.isAsRehearsed(requestFor(seams, job, mounted), signal)
}

function requestFor({ volumes }: RehearsalSeams, job: JobHandle, mounted: readonly MountedVolume[]): BootRequest {
  const { id: jobId, options } = job.record
  return { jobId, ...planned(job), options, built: { disks: [...disksInUse(job.record)] }, volumes, mounted }
}

/** Runs one. An abort puts it back to where it waits. @throws {AppError} BOOT_FIXUP_FAILED and what else the fix-ups end with; it is in the job's record then, too */
export async function rehearse(seams: RehearsalSeams, job: JobHandle, mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
  const { replica, clock } = seams
  const now = (): string => new Date(clock.now()).toISOString()
  await job.update({ rehearsal: { ...job.record.rehearsal, state: 'running', startedAtUtc: now(), endedAtUtc: undefined, message: undefined } })
  try {
    await replica.rehearse(requestFor(seams, job, mounted), async report => { await job.amend(record => ({ rehearsal: { state: 'running', ...record.rehearsal, report } })) }, signal)
  } catch (error) {
    if (signal.aborted) {
      await job.amend(record => ({ rehearsal: { ...record.rehearsal, state: 'wanted' } }))
      throw error
    }
    const message = error instanceof Error ? error.message : String(error)
    await job.amend(record => ({ rehearsal: { ...record.rehearsal, state: 'failed', endedAtUtc: now(), message }, health: 'warning' }))
    await job.note('rehearsal', `the rehearsal of the boot fix-ups failed: ${message}. Nothing was changed; correct it on the source, then: landfall job rehearse`)
    throw error
  }
  await job.amend(record => ({ rehearsal: { ...record.rehearsal, state: 'passed', endedAtUtc: now(), message: undefined } }))
  await job.note('rehearsal', 'the boot fix-ups were rehearsed: all that the boot needs passed')
}

/** Does the work, whose end is theirs, with rehearsals beside it when they are wanted. A rehearsal that fails does not end the work. */
export async function withRehearsals(seams: RehearsalSeams, job: JobHandle, mounted: readonly MountedVolume[], work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const failed = new AbortController()
  const rehearsals = (async () => {
    try {
      await runWanted(seams, job, mounted, AbortSignal.any([signal, over.signal]))
    } catch (error) {
      if (!over.signal.aborted && !signal.aborted) failed.abort(error)
    }
  })()
  try {
    await work(AbortSignal.any([signal, failed.signal]))
  } finally {
    over.abort()
    await rehearsals
  }
  failed.signal.throwIfAborted()
}

async function runWanted(seams: RehearsalSeams, job: JobHandle, mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const over = new AbortController()
    const ordered = job.ordered(AbortSignal.any([signal, over.signal]))
    try {
      const state = job.record.rehearsal?.state
      if (state === 'wanted' || state === 'running') {
        try {
          await rehearse(seams, job, mounted, signal)
        } catch (error) {
          signal.throwIfAborted()
          if (!isAppError(error)) throw error
        }
        continue
      }
      await ordered
    } finally {
      over.abort()
    }
  }
}
