#!/usr/bin/env node
/** The `landfall-agent` command: enrol, run, describe. The token comes by standard input or LANDFALL_TOKEN, never as an argument. */
import { Command, CommanderError } from 'commander'
import { createInterface } from 'node:readline/promises'
import { createAgent } from '../agent/agent.ts'
import { readAgentConfig } from '../agent/config.ts'
import { enrol } from '../agent/enrol.ts'
import { VERSION } from '../domain/version.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'
import { agentLog } from '../logging/logger.ts'
import { startWithoutMaglev } from './no-maglev.ts'
import { startSmall } from './start-small.ts'

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => { interrupted.abort() })
const { signal } = interrupted

const program = new Command('landfall-agent').description('The agent of Landfall on a source server.').version(VERSION).exitOverride()

program.command('enrol').description('get a certificate from the appliance; the token is read from LANDFALL_TOKEN or standard input')
  .requiredOption('--appliance <host:port>', 'address of the appliance\'s API').requiredOption('--ca-sha256 <hex>', 'SHA-256 of the appliance\'s authority')
  .option('--config <file>', 'configuration file')
  .action(async (options: { appliance: string, caSha256: string, config?: string }) => {
    const address = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(options.appliance)
    if (address?.[1] === undefined) throw new AppError('REQUEST_INVALID', `--appliance must be HOST:PORT, not ${options.appliance}`)
    const { stateDirectory } = await readAgentConfig(options.config)
    const token = process.env['LANDFALL_TOKEN'] ?? await readToken()
    const { sourceId } = await enrol({ host: address[1], port: Number(address[2]), caSha256: options.caSha256, token, agentVersion: VERSION, stateDirectory }, signal)
    process.stdout.write(`enrolled as source ${sourceId}\n`)
  })

program.command('run').description('serve the appliance until a signal').option('--config <file>', 'configuration file').action(async (options: { config?: string }) => {
  startSmall()
  startWithoutMaglev()
  await using agent = createAgent(await readAgentConfig(options.config))
  await agent.run(signal)
})

program.command('describe').description('print what this source is, as JSON').option('--config <file>', 'configuration file').action(async (options: { config?: string }) => {
  await using agent = createAgent(await readAgentConfig(options.config))
  process.stdout.write(`${JSON.stringify(await agent.describe(signal), undefined, 2)}\n`)
})

async function readToken(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Enrolment token: ')
  const lines = createInterface({ input: process.stdin, signal })
  for await (const line of lines) return line.trim()
  throw new AppError('REQUEST_INVALID', 'no token: give it by LANDFALL_TOKEN or standard input')
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (signal.aborted) process.exitCode = 130
  else if (isAppError(error)) {
    process.stderr.write(`landfall-agent: ${error.message} (${error.code})\n${CODES[error.code].operator}\n`)
    process.exitCode = CODES[error.code].exitCode
  } else {
    agentLog.fatal({ err: error }, 'unexpected failure')
    process.exitCode = 1
  }
}
