import { Option, type Command } from 'commander'
import { z } from 'zod'
import type { JobView } from '../domain/job.ts'
import { parsePeriodMs } from '../domain/period.ts'
import { TestDisks } from '../domain/test-cutover.ts'
import { AppError } from '../errors/app-error.ts'
import { addCommand, type Surroundings } from './command.ts'
import { askJob } from './job-action.ts'
import { watchJob } from './job-watch.ts'
import { clean, fields, printJson } from './output.ts'

const Options = z.object({
  network: z.string().optional(), disks: TestDisks.default('copies'), keep: z.string().optional(), undo: z.boolean().default(false), wait: z.boolean().default(false),
})

/** `landfall job test-cutover`: the replica starts from copies, or children, of its disks on an isolated network. */
export function addJobTestCutover(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'test-cutover <name>', summary: 'start a copy of the replica on an isolated network beside the source, or take it away again',
    details: 'Only from the state protecting. The source is not asked for anything. The test VM boots with the same proof as at a cutover.\n  --disks copies    changes wait at the source while the disks are copied (the datastore needs room), then replication goes on beside the test\n  --disks children  made at once, next to no room; replication goes on into further children, which are thrown away at the undo: what has changed since is mirrored again\nThe VM and its disks stay until --undo, or for the time of --keep after it has proved its boot, or failed. With --wait it ends when the copy has proved that it booted, or when it is undone.',
  }, surroundings, async ({ args, options, json, client, ...around }) => {
    const { network, disks, keep, undo, wait } = Options.parse(options)
    const { terminal, signal } = around
    if (undo === (network !== undefined)) throw new AppError('REQUEST_INVALID', 'say either --network with an isolated network, or --undo')
    const asked = undo
      ? await askJob(client, args[0] ?? '', 'undo-test-cutover', signal)
      : await askJob(client, args[0] ?? '', 'test-cutover', signal, `?${new URLSearchParams({ network: network ?? '', testDisks: disks, ...keep === undefined ? {} : { keepMs: String(parsePeriodMs(keep, '--keep')) } }).toString()}`)
    if (!wait) {
      if (json) printJson(terminal, asked)
      else terminal.out(`The test cutover of job ${clean(asked.name)} ${undo ? 'is being undone' : 'has begun'}. See it with: landfall job watch ${asked.id}\n`)
      return
    }
    const job = await watchJob(client, asked.id, { json, sinceUtc: asked.updatedAtUtc, ...around }, undo ? isUndone : isProved)
    if (!json) terminal.out(undo ? 'The test cutover was undone.\n' : describeTest(job))
  }).option('--network <name>', 'a network that reaches neither the source nor its users').addOption(new Option('--disks <kind>', 'copies, or children, of the disks of the replica (default: copies)').choices(TestDisks.options))
    .option('--keep <period>', 'it is undone by itself so long after its end, 1m to 14d').option('--undo', 'remove the test VM and its disks').option('--wait', 'wait until the copy has booted, or is gone')
}

/** @throws {AppError} BOOT_NOT_PROVEN when it failed or was undone by somebody */
function isProved({ name, testCutover: test }: JobView): boolean {
  if (test?.state === 'proved') return true
  if (test?.state === 'failed') throw new AppError('BOOT_NOT_PROVEN', `the test cutover of job ${name} failed: ${test.message ?? ''}${test.hasVm ? `. Undo it with: landfall job test-cutover ${name} --undo` : ''}`)
  if (test === undefined || test.state === 'undone' || test.state === 'undoing') throw new AppError('BOOT_NOT_PROVEN', `the test cutover of job ${name} was undone meanwhile`)
  return false
}

/** @throws {AppError} VSPHERE_STATE when something of it is left */
function isUndone({ name, testCutover: test }: JobView): boolean {
  if (test?.state === 'failed') throw new AppError('VSPHERE_STATE', `the test cutover of job ${name}: ${test.message ?? ''}`)
  return test === undefined || test.state === 'undone'
}

function describeTest({ name, testCutover: test }: JobView): string {
  const { proof } = test ?? {}
  return fields([
    ['Test VM', test?.vmName], ['Network', test?.network], ['Disks', test?.kind === 'children' ? 'children: replication goes on into stand-ins; at the undo what has changed since is mirrored again' : 'copies'], ['Host name', proof?.hostName], ['Addresses', proof?.addresses.join(' ')], ['System', proof?.systemState],
    ['Failed units', proof?.failedUnits.join(' ')], ['Script', proof?.scriptExitCode === undefined ? undefined : `exit code ${String(proof.scriptExitCode)}`], ['Screenshot', test?.screenshot === undefined ? undefined : `landfall job screenshot ${name} --test --output FILE`],
    ['Undo', `landfall job test-cutover ${name} --undo`],
  ])
}
