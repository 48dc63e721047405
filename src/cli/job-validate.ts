import type { Command } from 'commander'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { countFindings, findingsTable } from './findings-table.ts'
import { waitForJob } from './follow-job.ts'
import { askJob } from './job-action.ts'
import { failureOf } from './job-wait.ts'
import { asArgument, printJson } from './output.ts'
import { planText } from './plan-text.ts'
import { JobView } from '../domain/job.ts'

/** `landfall job validate`: runs the checks, waits for them and shows them; ends with an error when one of them is an error. */
export function addJobValidate(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'validate <name>', summary: 'check whether the job can run, and show every check' }, surroundings, async ({ args, client, terminal, signal, json, now, sleep }) => {
    const asked = await askJob(client, args[0] ?? '', 'validate', signal)
    await waitForJob({ client, job: asked.id, signal, now, sleep }, view => view.state !== 'validating')
    const job = await client.get(`/jobs/${step(asked.id)}`, JobView, { signal })
    const failure = failureOf(job)
    if (json && failure === undefined) printJson(terminal, job)
    if (!json) {
      if (job.plan !== undefined) terminal.out(`${planText(job.plan)}\n`)
      terminal.out(findingsTable(job.validation, terminal.colours))
      terminal.out(`\n${countFindings(job.validation)}.${job.state === 'ready' ? ` Next: landfall job start ${asArgument(job.name)}` : ''}\n`)
    }
    if (json && failure !== undefined) terminal.err(findingsTable(job.validation, false))
    if (failure !== undefined) throw failure
  })
}
