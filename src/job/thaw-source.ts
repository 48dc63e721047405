/** Lets a frozen source run on. */
import type { SourceServer } from '../source/source-server.ts'
import type { JobHandle, Seams } from './step.ts'

const THAW_MS = 30_000

/** Thaws the source if it is there; one that is away thaws by itself, or when it is prepared anew (`prepareSource`). Never fails. */
export async function thawSource(seams: Pick<Seams, 'sources' | 'log' | 'times'>, job: JobHandle): Promise<void> {
  try {
    const source = seams.sources.find(job.record.source)
    if (source === undefined) await job.update({ thawOwed: true })
    else await thawOn(job, source, AbortSignal.timeout(THAW_MS))
  } catch (error) {
    seams.log.warn({ err: error, jobId: job.record.id }, 'source could not be thawed')
    await job.update({ thawOwed: true })
    await job.note('thaw-unsure', `the source could not be asked to thaw; it does so by itself within ${String(Math.round(seams.times.holdMs / 1000))} s`)
  }
}

/** The same for a source that is there. @throws {AppError} LINK_LOST */
export async function thawOn(job: JobHandle, source: SourceServer, signal: AbortSignal): Promise<void> {
  for (const { kind, message } of await source.thaw(signal)) await job.note(kind, message)
}
