import type { Command } from 'commander'
import { z } from 'zod'
import type { JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { addCommand, type Surroundings } from './command.ts'
import { askJob } from './job-action.ts'
import { errorCodeOf } from './job-wait.ts'
import { watchJob } from './job-watch.ts'
import { clean, fields, formatDuration, printJson } from './output.ts'

const Options = z.object({ wait: z.boolean().default(false) })

/** `landfall job cutover`: the replica takes over. */
export function addJobCutover(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'cutover <name>', summary: 'cut over: the replica takes the place of the source',
    details: 'Only from the state protecting. With --wait it shows the cutover live and ends when the replica has proved that it booted.',
  }, surroundings, async ({ args, options, json, client, ...around }) => {
    const { terminal, signal } = around
    const asked = await askJob(client, args[0] ?? '', 'cutover', signal)
    if (!Options.parse(options).wait) {
      if (json) printJson(terminal, asked)
      else terminal.out(`The cutover of job ${clean(asked.name)} has begun. See it with: landfall job watch ${asked.id}\n`)
      return
    }
    const job = await watchJob(client, asked.id, { json, sinceUtc: asked.updatedAtUtc, ...around }, isCutOver)
    if (!json) terminal.out(describeProof(job))
  }).option('--wait', 'wait until the replica has booted')
}

/** @throws {AppError} of the job when the cutover was undone: the job protects again by itself, but nobody cuts over again */
function isCutOver({ name, state, lastError }: JobView): boolean {
  if (state === 'provisioning' || state === 'mirroring' || state === 'protecting') {
    throw new AppError(errorCodeOf(lastError), `the cutover of job ${name} was undone: ${lastError?.message ?? 'see its history'}. The source runs on, nothing is lost; the job protects again by itself`)
  }
  return state === 'completed'
}

function describeProof({ options, proof, downtimeMs }: JobView): string {
  return fields([
    ['Replica', options.vmName], ['Host name', proof?.hostName], ['Addresses', proof?.addresses.join(' ')], ['System', proof?.systemState],
    ['Failed units', proof?.failedUnits.join(' ')], ['Downtime', downtimeMs === undefined ? undefined : formatDuration(downtimeMs)],
    ['Script', proof?.scriptExitCode === undefined ? undefined : `exit code ${String(proof.scriptExitCode)}`],
  ])
}
