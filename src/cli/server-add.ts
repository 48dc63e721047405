import { Option, type Command } from 'commander'
import { z } from 'zod'
import { AddSource, EnrolmentOffer } from '../domain/server.ts'
import { addCommand, type Surroundings } from './command.ts'
import { formatTime, printJson } from './output.ts'

const Options = z.object({ role: z.literal('source'), validHours: z.coerce.number().positive().max(168, 'at most 168').default(1) })

/** `landfall server add`: registers a source and prints the command that enrols its agent. */
export function addServerAdd(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'add <name>', summary: 'add a source server and print the command that enrols it',
    details: 'The command is to be run on the source as root. Its token works once and for an hour.',
  }, surroundings, async ({ args, options, client, terminal, signal, json }) => {
    const { validHours } = Options.parse(options)
    const body = AddSource.parse({ name: args[0], tokenValidMs: Math.round(validHours * 3600_000) })
    const offer = await client.post('/sources', EnrolmentOffer, { body, signal })
    if (json) {
      printJson(terminal, offer)
      return
    }
    terminal.err(`Added ${offer.source.name}. Run this on it as root before ${formatTime(offer.expiresAtUtc)}; it works once:\n\n`)
    terminal.out(`${offer.command}\n`)
  }).addOption(new Option('--role <role>', 'what the server is').choices(['source']).default('source'))
    .option('--valid-hours <n>', 'how long the enrolment token works', '1')
}
