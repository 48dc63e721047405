/** Lets a frozen source run on. */
import type { JobHandle, Seams } from './step.ts'

const THAW_MS = 30_000

/** Thaws the source if it is there; one that is away thaws by itself. Never fails. */
export async function thawSource(seams: Pick<Seams, 'sources' | 'log' | 'times'>, job: JobHandle): Promise<void> {
  try {
    const notes = await seams.sources.find(job.record.source)?.thaw(AbortSignal.timeout(THAW_MS)) ?? []
    for (const { kind, message } of notes) await job.note(kind, message)
  } catch (error) {
    seams.log.warn({ err: error, jobId: job.record.id }, 'source could not be thawed')
    await job.note('thaw-unsure', `the source could not be asked to thaw; it does so by itself within ${String(Math.round(seams.times.holdMs / 1000))} s`)
  }
}
