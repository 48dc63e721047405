/** Asking something of a job, and the commands that do only that. */
import type { Command } from 'commander'
import { JobView, type JobAction } from '../domain/job.ts'
import { step, type Client } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, printJson } from './output.ts'

/** @throws {AppError} JOB_NOT_FOUND; JOB_TRANSITION_INVALID when the job's state does not offer it */
export async function askJob(client: Client, job: string, action: JobAction, signal: AbortSignal, query = ''): Promise<JobView> {
  return client.post(`/jobs/${step(job)}/actions/${action}${query}`, JobView, { signal })
}

/** A command that asks and shows the answer: start, stop, retry, remirror. */
export function addPlainAction(parent: Command, surroundings: Surroundings, action: JobAction, summary: string, next: (job: JobView) => string): void {
  addCommand(parent, { usage: `${action} <name>`, summary }, surroundings, async ({ args, client, terminal, signal, json }) => {
    const job = await askJob(client, args[0] ?? '', action, signal)
    if (json) printJson(terminal, job)
    else terminal.out(`Job ${clean(job.name)} is ${job.state.replace('-', ' ')}. ${next(job)}\n`)
  })
}
