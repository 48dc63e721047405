import type { Command } from 'commander'
import { JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { addPlainAction } from './job-action.ts'
import { clean, formatTime, printJson } from './output.ts'

/** `landfall job rehearse`: what makes the replica boot, tried on a throw-away layer. */
export function addJobRehearse(parent: Command, surroundings: Surroundings): void {
  addPlainAction(parent, surroundings, 'rehearse', 'rehearse what makes the replica boot, without changing it', job => `See what comes of it with: landfall job rehearsal ${job.id}`)
}

/** `landfall job rehearsal`: the report of the last one. */
export function addJobRehearsal(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'rehearsal <name>', summary: 'show the last rehearsal: each fix-up, and how each file would change',
    details: 'A job is rehearsed after each mirror, when "landfall job rehearse" asks for it, and before a cutover unless it has passed one.',
  }, surroundings, async ({ args, client, terminal, signal, json }) => {
    const job = await client.get(`/jobs/${step(args[0] ?? '')}`, JobView, { signal })
    if (job.rehearsal === undefined) throw new AppError('REQUEST_INVALID', `job ${job.name} was not rehearsed yet: its mirror is not complete`)
    if (json) printJson(terminal, job.rehearsal)
    else terminal.out(describeRehearsal(job.rehearsal))
  })
}

/** Lines of people: what was done, with diffs indented below it. */
export function describeRehearsal({ state, startedAtUtc, message, report }: NonNullable<JobView['rehearsal']>): string {
  const head = `Rehearsal ${state}${startedAtUtc === undefined ? '' : `, begun ${formatTime(startedAtUtc)}`}${message === undefined ? '' : `: ${clean(message)}`}\n`
  const results = (report?.results ?? []).map(({ id, title, outcome, messages, changed }) => [
    `\n${id}  ${clean(title)}: ${outcome.replaceAll('-', ' ')}\n`, ...messages.map(m => `     ${clean(m)}\n`),
    ...changed.flatMap(({ path, diff, before, after, gone }) => [
      `     ${gone === true ? 'removed with all that is in it' : before === '' ? 'new or directory' : after === '' ? 'removed' : 'changed'}  ${clean(path)}\n`, ...(diff ?? '').split('\n').filter(line => line !== '').map(line => `       ${clean(line)}\n`),
    ]),
  ].join(''))
  return head + results.join('')
}
