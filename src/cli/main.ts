/**
 * The `landfall` command line: a client of the appliance's API, one file per command. Results go to standard output, everything else to
 * standard error; every failure ends with one sentence, what to do, and an exit code of the table.
 */
import { Command, CommanderError } from 'commander'
import { VERSION } from '../domain/version.ts'
import { AppError } from '../errors/app-error.ts'
import type { Surroundings } from './command.ts'
import { exitCodeHelp } from './exit-codes.ts'
import { addJobCreate } from './job-create.ts'
import { addJobCutover } from './job-cutover.ts'
import { addJobDelete } from './job-delete.ts'
import { addJobList } from './job-list.ts'
import { addJobPause } from './job-pause.ts'
import { addJobRehearsal, addJobRehearse } from './job-rehearse.ts'
import { addJobRemirror } from './job-remirror.ts'
import { addJobResume } from './job-resume.ts'
import { addJobRetry } from './job-retry.ts'
import { addJobSet } from './job-set.ts'
import { addJobScreenshot } from './job-screenshot.ts'
import { addJobShow } from './job-show.ts'
import { addJobStart } from './job-start.ts'
import { addJobTask } from './job-task.ts'
import { addJobTestCutover } from './job-test-cutover.ts'
import { addJobStop } from './job-stop.ts'
import { addJobValidate } from './job-validate.ts'
import { addJobWatch } from './job-watch.ts'
import { addLogin } from './login.ts'
import { clean, paint, printJson } from './output.ts'
import { exitCodeOf, problemOf } from './problem.ts'
import { addServerAdd } from './server-add.ts'
import { addServerList } from './server-list.ts'
import { addServerRemove } from './server-remove.ts'
import { addServerShow } from './server-show.ts'
import { addVmwareAdd } from './vmware-add.ts'
import { addVmwareList } from './vmware-list.ts'
import { addVmwareRemove } from './vmware-remove.ts'

const WRONG_USE = 2
const INTERRUPTED = 130

/** Runs one command; resolves with its exit code and never rejects. `args` are without program and script. */
export async function main(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { terminal, signal } = surroundings
  const program = buildProgram(surroundings)
  try {
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    const json = args.includes('--json')
    if (error instanceof CommanderError) { // commander has written what it had to say for people
      if (error.exitCode === 0) return 0
      if (json) printJson(terminal, problemOf(new AppError('REQUEST_INVALID', error.message)))
      return WRONG_USE
    }
    if (signal.aborted) return INTERRUPTED
    const problem = problemOf(error)
    if (json) printJson(terminal, problem)
    else terminal.err(`${paint('error:', 'red', terminal.colours)} ${clean(problem.detail)} (${problem.code})\n${clean(problem.operator)}\n`)
    return exitCodeOf(problem)
  }
}

function buildProgram(surroundings: Surroundings): Command {
  const { terminal } = surroundings
  const program = new Command('landfall')
    .description('Move live Linux servers into new VMs on VMware ESX. Environment: LANDFALL_URL, LANDFALL_CA, LANDFALL_TOKEN, LANDFALL_VMWARE_PASSWORD, NO_COLOR.')
    .version(VERSION)
    .addHelpText('after', exitCodeHelp())
  // settings that subcommands copy must be made before them
  program.exitOverride().configureOutput({ writeOut: text => { terminal.out(text) }, writeErr: text => { terminal.err(text) }, getOutHelpWidth: () => terminal.columns(), getErrHelpWidth: () => terminal.columns() })
  addLogin(program, surroundings)
  const server = program.command('server').summary('source servers').description('Source servers.')
  for (const add of [addServerAdd, addServerList, addServerShow, addServerRemove]) add(server, surroundings)
  const vmware = program.command('vmware').summary('VMware servers').description('VMware servers.')
  for (const add of [addVmwareAdd, addVmwareList, addVmwareRemove]) add(vmware, surroundings)
  const job = program.command('job').summary('migrations').description('Jobs: migrations of one source to one replica.')
  const commands = [addJobCreate, addJobValidate, addJobStart, addJobList, addJobShow, addJobWatch, addJobSet, addJobPause, addJobResume, addJobTestCutover, addJobCutover, addJobScreenshot, addJobStop, addJobRetry, addJobRehearse, addJobRehearsal, addJobRemirror, addJobDelete]
  for (const add of commands) add(job, surroundings)
  const task = job.command('task').summary('users\' scripts in the stream of a job').description('Scripts of the appliance that run when everything captured before them is on the replica.')
  for (const add of addJobTask) add(task, surroundings)
  return program
}
