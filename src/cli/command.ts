/** The frame of every command: its options, its connection, and what it may use. */
import { Command } from 'commander'
import { Client } from './client.ts'
import { exitCodeHelp } from './exit-codes.ts'
import { ConnectionOptions, readSettings, type Environment } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** What the process gives to its command. */
export interface Surroundings {
  terminal: Terminal
  environment: Environment
  signal: AbortSignal
  now: () => number
  sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What a command runs with. */
export interface Invocation extends Surroundings {
  /** positional arguments */
  args: readonly string[]
  /** options as commander read them; each command checks its own */
  options: unknown
  json: boolean
  client: Client
}

export interface CommandText {
  /** "create <name>" */
  usage: string
  summary: string
  /** further lines of the help */
  details?: string
}

/** Adds a command without a connection: `run` gets everything but the client. */
export function addLocalCommand(parent: Command, text: CommandText, surroundings: Surroundings, run: (invocation: Omit<Invocation, 'client'>) => Promise<void>): Command {
  const command = parent.command(text.usage).summary(text.summary).description(text.details === undefined ? text.summary : `${text.summary}\n\n${text.details}`)
    .option('--url <url>', 'address of the appliance (LANDFALL_URL)')
    .option('--ca <file>', 'CA certificate of the appliance in PEM (LANDFALL_CA)')
    .option('--token-file <file>', 'file with the access token (or LANDFALL_TOKEN)')
    .option('--json', 'print JSON for machines')
    .addHelpText('after', exitCodeHelp())
  return command.action(async () => {
    const options: Record<string, unknown> = command.opts()
    await run({ ...surroundings, args: command.args, options, json: options['json'] === true })
  })
}

/** Adds a command that speaks to the appliance. */
export function addCommand(parent: Command, text: CommandText, surroundings: Surroundings, run: (invocation: Invocation) => Promise<void>): Command {
  return addLocalCommand(parent, text, surroundings, async invocation => {
    const client = new Client(await readSettings(ConnectionOptions.parse(invocation.options), surroundings.environment))
    try {
      await run({ ...invocation, client })
    } finally {
      client.close()
    }
  })
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...before ?? [], value]
}
