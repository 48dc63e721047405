import type { Command } from 'commander'
import { Option } from 'commander'
import { z } from 'zod'
import { JobState, type JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import type { Client } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { followJob } from './follow-job.ts'
import { failureOf } from './job-wait.ts'
import { WatchScreen } from './watch-screen.ts'

/** States on the way to completed: a watcher that missed one need not wait for it. */
const BEFORE_COMPLETED: ReadonlySet<JobState> = new Set<JobState>(['created', 'validating', 'ready', 'provisioning', 'mirroring', 'protecting', 'cutting-over'])

const Options = z.object({ until: JobState.optional() })

/** `landfall job watch`: shows a job live. */
export function addJobWatch(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'watch <name>', summary: 'show a job live: progress, rate, remaining time and recovery point latency',
    details: 'Ends when the job is completed or removed, and with an error when it has failed.\nWith --until it ends as soon as the job is in that state or has left it behind, and with an error when it fails, is stopped or removed.\nWith --json each line is one event: {"event": "job" or "history", "data": ...}. A lost connection is made again.',
  }, surroundings, async ({ args, options, json, client, ...around }) => {
    const { until } = Options.parse(options)
    await watchJob(client, args[0] ?? '', { json, ...around }, view => view.state === (until ?? 'completed') || (view.state === 'completed' && BEFORE_COMPLETED.has(until ?? 'completed')))
  }).addOption(new Option('--until <state>', 'end when the job is in this state').choices(JobState.options))
}

/**
 * Shows the job until `done`; for people only the history since `sinceUtc`.
 * @throws {AppError} of the job when it rests in a state from which `done` does not come by itself; what `done` throws
 */
export async function watchJob(
  client: Client, job: string, { terminal, signal, now, sleep, json, sinceUtc = '' }: Surroundings & { json: boolean, sinceUtc?: string }, done: (view: JobView) => boolean,
): Promise<JobView> {
  const screen = new WatchScreen(terminal, now)
  const note = (text: string): void => { if (json) terminal.err(`${text}\n`); else screen.note(text) }
  let last: JobView | undefined
  try {
    for await (const event of followJob({ client, job, signal, now, sleep, onLost: error => { note(`connection lost (${error.message}); trying again`) } })) {
      if (json) terminal.out(`${JSON.stringify(event)}\n`)
      if (event.event === 'history') {
        if (!json && event.data.atUtc >= sinceUtc) screen.history(event.data)
        continue
      }
      last = event.data
      if (!json) screen.job(last)
      if (done(last)) return last
      const failure = failureOf(last)
      if (failure !== undefined) throw failure
    }
  } finally {
    screen.end()
  }
  throw new AppError('JOB_NOT_FOUND', `job ${last?.name ?? job} was removed`)
}
