import type { Command } from 'commander'
import { z } from 'zod'
import { JobView } from '../domain/job.ts'
import { parsePeriodMs } from '../domain/period.ts'
import { step } from './client.ts'
import { addCommand, collect, type Surroundings } from './command.ts'
import { clean, formatTime, printJson, table } from './output.ts'

const Options = z.object({ argument: z.array(z.string()).default([]), timeout: z.string().default('5m') })

/** `landfall job task add`: a script of the appliance runs behind what is captured so far. */
function addTaskAdd(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'add <name> <script>', summary: 'run a script on the appliance when everything captured until now is on the replica',
    details: 'The script is a file in the tasks directory of the appliance (/etc/landfall/tasks), which only its administrator may write to.\nIt is ended with its children when it takes too long.',
  }, surroundings, async ({ args, options, client, terminal, signal, json }) => {
    const { argument, timeout } = Options.parse(options)
    const body = { script: args[1] ?? '', arguments: argument, timeoutMs: parsePeriodMs(timeout, '--timeout') }
    const job = await client.post(`/jobs/${step(args[0] ?? '')}/user-tasks`, JobView, { body, signal })
    if (json) printJson(terminal, job.userTasks?.at(-1))
    else terminal.out(`The task waits for what was captured before it. See it with: landfall job task list ${job.id}\n`)
  }).option('--argument <text>', 'argument of the script; repeatable', collect).option('--timeout <period>', 'time that it may take, up to 1h (default: 5m)')
}

/** `landfall job task list`: what became of them. */
function addTaskList(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'list <name>', summary: 'show the tasks of a job and what became of them' }, surroundings, async ({ args, client, terminal, signal, json }) => {
    const { userTasks = [] } = await client.get(`/jobs/${step(args[0] ?? '')}`, JobView, { signal })
    if (json) {
      printJson(terminal, userTasks)
      return
    }
    const lastLine = (output: string): string => clean(output.trimEnd().split('\n').at(-1) ?? '')
    terminal.out(table(['SCRIPT', 'STATE', 'EXIT', 'ADDED', 'ENDED', 'LAST LINE OF OUTPUT'], userTasks.map(task => [
      [task.script, ...task.arguments].join(' '), task.state, task.exitCode === undefined ? '' : String(task.exitCode), formatTime(task.addedAtUtc), formatTime(task.endedAtUtc), lastLine(task.output ?? ''),
    ]), terminal.colours))
  })
}

export const addJobTask = [addTaskAdd, addTaskList]
