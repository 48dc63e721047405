/** Work with a source whose connection comes and goes. */
import { AppError, isAppError } from '../errors/app-error.ts'
import type { SourceServer } from '../source/source-server.ts'
import type { JobHandle, Seams } from './step.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/**
 * Runs `use` with the source, again with each new connection while it fails because the link was lost; meanwhile the job says that it waits.
 * Ends with what `use` answers, its other errors, or the abort.
 */
export async function withSource<T>(
  seams: Pick<Seams, 'sources' | 'clock'>, job: JobHandle, activity: string, use: (source: SourceServer) => Promise<T>, signal: AbortSignal,
): Promise<T> {
  for (let losses = 0; ; losses++) {
    signal.throwIfAborted()
    const source = seams.sources.find(job.record.source) ?? await waitForSource(seams, job, signal)
    await job.update({ health: 'ok', activity })
    try {
      return await use(source)
    } catch (error) {
      if (signal.aborted || !isAppError(error, 'LINK_LOST')) throw error
      await job.update({ health: 'warning', activity: 'source disconnected, waiting' })
      await job.note('source-disconnected', error.message)
      // a connection that breaks at once each time must not be tried in a tight loop
      await seams.clock.sleep(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(losses, 10), LONGEST_PAUSE_MS), signal)
    }
  }
}

/**
 * The connection of the job's source, waited for at most `withinMs`.
 * @throws {AppError} SOURCE_NOT_CONNECTED
 */
export async function connectedSource(seams: Pick<Seams, 'sources' | 'clock'>, job: JobHandle, withinMs: number, signal: AbortSignal): Promise<SourceServer> {
  const connected = seams.sources.find(job.record.source)
  if (connected !== undefined) return connected
  const source = await within(seams.clock, withinMs, signal, async inner => await seams.sources.waitFor(job.record.source, inner))
  if (source === undefined) throw new AppError('SOURCE_NOT_CONNECTED', `the source did not connect within ${String(Math.round(withinMs / 1000))} s`)
  return source
}

/** What `work` answers, or undefined when it takes longer; its signal is aborted then. It is waited for in both cases. */
export async function within<T>(clock: Seams['clock'], ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const late = new AbortController()
  const done = new AbortController()
  const timer = (async () => {
    try {
      await clock.sleep(ms, done.signal)
      late.abort(new AppError('SOURCE_NOT_CONNECTED', `no answer within ${String(ms)} ms`))
    } catch (error) {
      if (!done.signal.aborted) throw error
    }
  })()
  try {
    return await work(AbortSignal.any([signal, late.signal]))
  } catch (error) {
    signal.throwIfAborted()
    if (late.signal.aborted) return undefined
    throw error
  } finally {
    done.abort()
    await timer
  }
}

async function waitForSource(seams: Pick<Seams, 'sources'>, job: JobHandle, signal: AbortSignal): Promise<SourceServer> {
  await job.update({ health: 'warning', activity: 'source disconnected, waiting' })
  const source = await seams.sources.waitFor(job.record.source, signal)
  await job.note('source-connected', 'the source is connected again')
  return source
}
