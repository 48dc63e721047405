/** A job's events as they happen, over lost connections and restarts of the appliance. */
import { JobStreamEvent } from '../domain/api.ts'
import type { JobView } from '../domain/job.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'
import { step, type Client } from './client.ts'
import { readEvents } from './event-stream.ts'

export interface FollowOptions {
  client: Pick<Client, 'stream'>
  job: string
  signal: AbortSignal
  /** told when the line is lost, once per loss */
  onLost?: (error: Error) => void
  sleep: (ms: number, signal: AbortSignal) => Promise<void>
  now: () => number
}

const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 10_000
/** an appliance that restarts, or a network that is repaired, is back by then */
const GIVE_UP_MS = 15 * 60_000

/**
 * Yields every event; after a loss it goes on behind the last history event and starts with the present job again. Ends when the job is
 * removed.
 * @throws {AppError} JOB_NOT_FOUND and other refusals at once; the last failure when nothing answered for 15 minutes
 */
export async function* followJob({ client, job, signal, onLost, sleep, now }: FollowOptions): AsyncGenerator<JobStreamEvent> {
  let lastId: string | undefined
  let aliveAtMs = now()
  let pauseMs = FIRST_PAUSE_MS
  let seen = false
  for (let lost = false;;) {
    try {
      const chunks = await client.stream(`/jobs/${step(job)}/events`, lastId === undefined ? {} : { 'last-event-id': lastId }, signal)
      for await (const event of readEvents(chunks)) {
        const known = parse(event.event, event.data)
        if (known === undefined) continue
        if (event.id !== undefined) lastId = event.id
        seen = true
        lost = false
        aliveAtMs = now()
        pauseMs = FIRST_PAUSE_MS
        yield known
        if (known.event === 'job' && known.data.state === 'removed') return
      }
      throw new AppError('LINK_LOST', `the appliance ended the events of job ${job}`)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof Error)) throw error
      if (seen && isAppError(error, 'JOB_NOT_FOUND')) return // removed while nobody looked
      if (isAppError(error) ? !CODES[error.code].retryable : !isNetworkError(error)) throw error
      // without a first event the address may simply be wrong: say so at once
      if (!seen || now() - aliveAtMs > GIVE_UP_MS) throw isAppError(error) ? error : new AppError('LINK_LOST', `the events of job ${job} broke off: ${error.message}`, { cause: error })
      if (!lost) onLost?.(error)
      lost = true
      await sleep(pauseMs, signal)
      pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)
    }
  }
}

/** The first view for which `done` is true; ends with the last one when the job is removed before. */
export async function waitForJob(options: FollowOptions, done: (view: JobView) => boolean): Promise<JobView | undefined> {
  let last: JobView | undefined
  for await (const event of followJob(options)) {
    if (event.event !== 'job') continue
    last = event.data
    if (done(last)) return last
  }
  return last
}

/** A newer appliance may send kinds of events that are not known here: they are passed over. */
function parse(event: string, data: string): JobStreamEvent | undefined {
  if (event !== 'job' && event !== 'history') return undefined
  try {
    return JobStreamEvent.parse({ event, data: JSON.parse(data) as unknown })
  } catch (error) {
    throw new AppError('ANSWER_INVALID', 'an event of the job has a form that is not known', { cause: error })
  }
}

function isNetworkError(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' // aborted and reset connections have one
}
