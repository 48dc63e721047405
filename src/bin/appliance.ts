#!/usr/bin/env node
/** The `landfall-appliance` service: runs until SIGTERM or SIGINT. Exit codes are those of `errors/codes.ts`. */
import { once } from 'node:events'
import { Command, CommanderError } from 'commander'
import { createAppliance } from '../appliance/appliance.ts'
import { readConfig } from '../appliance/config.ts'
import { VERSION } from '../domain/version.ts'
import { CODES } from '../errors/codes.ts'
import { isAppError } from '../errors/app-error.ts'
import { applianceLog } from '../logging/logger.ts'
import { startWithoutMaglev } from './no-maglev.ts'

const USAGE_EXIT_CODE = 2

async function run(configFile: string | undefined): Promise<void> {
  startWithoutMaglev()
  const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  await using appliance = await createAppliance(await readConfig(configFile, process.env))
  await ended
  applianceLog.info({ apiPort: appliance.apiPort }, 'appliance is shut down')
}

const program = new Command('landfall-appliance').description('Receives servers and builds their replicas').version(VERSION).exitOverride()
program.command('run').description('run the service').option('--config <file>', 'JSON configuration; LANDFALL_* variables win over it')
  .action(async (options: { config?: string }) => { await run(options.config) })

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
  } else if (isAppError(error)) {
    applianceLog.debug({ err: error }, 'appliance could not start')
    process.stderr.write(`landfall-appliance: ${error.code}: ${error.message}\n${CODES[error.code].operator}\n`)
    process.exitCode = CODES[error.code].exitCode
  } else {
    throw error
  }
}
