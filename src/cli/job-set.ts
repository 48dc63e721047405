import type { Command } from 'commander'
import { JobView } from '../domain/job.ts'
import { AppError } from '../errors/app-error.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { clean, printJson } from './output.ts'
import { addSendingOptions, SendingFlags, sendingOf } from './sending-options.ts'

/** `landfall job set`: options that may change at any time. */
export function addJobSet(parent: Command, surroundings: Surroundings): void {
  addSendingOptions(addCommand(parent, {
    usage: 'set <name>', summary: 'change how and when the data of a job is sent; it holds at once',
    details: 'Nothing is interrupted and nothing is mirrored again. Any --transmit option replaces the whole schedule.',
  }, surroundings, async ({ args, options, client, terminal, signal, json }) => {
    const edit = sendingOf(SendingFlags.parse(options))
    if (Object.keys(edit).length === 0) throw new AppError('REQUEST_INVALID', 'nothing is to be changed: give at least one option')
    const job = await client.patch(`/jobs/${step(args[0] ?? '')}`, JobView, { body: edit, signal })
    if (json) printJson(terminal, job)
    else terminal.out(`Changed job ${clean(job.name)}. Its transmit mode is ${job.transmitMode}.\n`)
  })).option('--transmit-always', 'take the schedule away: changes are sent as they come')
}
