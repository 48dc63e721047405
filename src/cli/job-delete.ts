import type { Command } from 'commander'
import { z } from 'zod'
import { JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { waitForJob } from './follow-job.ts'
import { askJob } from './job-action.ts'
import { failureOf } from './job-wait.ts'
import { clean, printJson } from './output.ts'
import type { Terminal } from './terminal.ts'

const Options = z.object({ keepDisks: z.boolean().default(false), deleteDisks: z.boolean().default(false), wait: z.boolean().default(true) })

/** `landfall job delete`: removes a job; whether the replica's disks stay must be said, or is asked. */
export function addJobDelete(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'delete <name>', summary: 'delete a job',
    details: 'The disks of a replica that has not taken over are deleted or kept: without --keep-disks and --delete-disks this is asked.\nThe replica of a completed job stays in any case.',
  }, surroundings, async ({ args, options, client, terminal, signal, json, now, sleep }) => {
    const { wait, ...disks } = Options.parse(options)
    const job = await client.get(`/jobs/${step(args[0] ?? '')}`, JobView, { signal })
    const keepDisks = await decideDisks(job, disks, terminal, signal)
    const asked = await askJob(client, job.id, 'remove', signal, `?keepDisks=${String(keepDisks)}`)
    const last = wait ? await waitForJob({ client, job: job.id, signal, now, sleep }, view => view.state !== 'removing') : asked
    const failure = last?.state === 'removed' || last === undefined ? undefined : failureOf(last)
    if (failure !== undefined) throw failure
    if (json) printJson(terminal, { job: job.id, name: job.name, keptDisks: keepDisks, removed: wait })
    else terminal.out(`${wait ? 'Deleted' : 'Deleting'} job ${clean(job.name)}${job.state === 'completed' ? '; its replica stays' : keepDisks ? '; the disks of its replica are kept' : ''}.\n`)
  }).option('--keep-disks', 'keep the disks of the replica, for another job').option('--delete-disks', 'delete the disks of the replica').option('--no-wait', 'do not wait until it is done')
}

/** @throws {AppError} REQUEST_INVALID when both are said, or neither and nobody can be asked */
async function decideDisks(job: JobView, { keepDisks, deleteDisks }: { keepDisks: boolean, deleteDisks: boolean }, terminal: Terminal, signal: AbortSignal): Promise<boolean> {
  if (keepDisks && deleteDisks) throw new AppError('REQUEST_INVALID', 'say either --keep-disks or --delete-disks')
  if (keepDisks || deleteDisks) return keepDisks
  if (job.state === 'completed') return true
  if ((job.built?.disks.length ?? 0) === 0) return false
  if (!terminal.canAsk) throw new AppError('REQUEST_INVALID', `job ${job.name} has replica disks: say --keep-disks or --delete-disks`)
  const answer = (await terminal.ask(`Delete the ${String(job.built?.disks.length ?? 0)} disks of the replica ${clean(job.options.vmName)} too? [yes/no] `, signal)).trim().toLowerCase()
  if (answer === 'yes') return false
  if (answer === 'no') return true
  throw new AppError('REQUEST_INVALID', 'nothing was deleted: the answer was neither "yes" nor "no"')
}
