/** `npm run -s lab -- COMMAND`: the lab's commands, for people, tests and measurements. Results on standard output, everything else on standard error. */
import { Command, CommanderError, Option } from 'commander'
import { isAppError } from '../../src/errors/app-error.ts'
import { CODES } from '../../src/errors/codes.ts'
import { fullCommand } from './full/full-command.ts'
import { createLab } from './lab.ts'
import { Interrupted, interruptible } from './interruption.ts'
import { migrate } from './migrate.ts'
import { progressLine } from './progress-line.ts'
import { mirrorDirectories, replicateDirectories, verifyDirectories, type ProgressEvent } from './transfer.ts'
import { transferOf, transferOptions, verificationOf, type TransferFlags, type VerifyFlags } from './transfer-options.ts'
import { sweepStaleRuns } from './run-directory.ts'

const WRONG_USE = 2
const NOT_EQUAL = 7
const INTERRUPTED = 130

const say = (line: string): void => { process.stderr.write(`${line}\n`) }
const print = (value: unknown): void => { process.stdout.write(`${JSON.stringify(value, null, 2)}\n`) }

async function main(args: readonly string[]): Promise<number> {
  using interruption = interruptible()
  const { signal } = interruption
  let exitCode = 0
  // what follows "--" is replicate's command, and none of its options are ours
  const at = args[0] === 'replicate' ? args.indexOf('--') : -1
  const own = at < 0 ? args : args.slice(0, at)
  const command = at < 0 ? [] : args.slice(at + 1)
  const program = new Command('lab').description('The lab: a vCenter (simulated), a source server, an appliance and their agent on this machine. Run as root, from the project.')
  program.exitOverride().configureOutput({ writeErr: text => process.stderr.write(text.replace(/\n(?=[^$])/g, ' ')) })

  program.command('migrate').description('migrate the lab\'s source once and compare the replica with it; exit code 7 when they differ')
    .option('--json', 'print one JSON object').option('--keep', 'leave the run\'s folder behind').option('--spoil', 'change one byte on the replica before comparing')
    .addOption(new Option('--table <kind>', 'partition tables of the source').choices(['gpt', 'dos']).default('gpt'))
    .addOption(new Option('--disks <how>', 'how those of the replica are laid out').choices(['matching', 'per-volume']).default('matching'))
    .action(async ({ json, keep, spoil, table, disks }: { json?: boolean, keep?: boolean, spoil?: boolean, table: 'gpt' | 'dos', disks: 'matching' | 'per-volume' }) => {
      await using lab = await createLab({ say, table, keepFiles: keep === true }, signal)
      const r = await migrate(lab, { spoil: spoil === true, disks, onStep: say, onCommand: (typed) => { say(`landfall ${typed.join(' ')}`) } }, signal)
      const { booted, equal, differences, downtimeMs, phasesMs, hostName, comparison, quiesced, violations } = r
      if (json === true) print({ booted, equal, differences, downtimeMs, phasesMs, hostName, quiesced, entries: comparison.entries, judge: comparison.judge, found: comparison.differences.slice(0, 100), fixups: comparison.fixups, violations })
      else say(`booted: ${String(booted)}, equal: ${String(equal)}, differences: ${String(differences)}, quiesced: ${String(quiesced.ok)}, downtime: ${String(downtimeMs)} ms`)
      exitCode = booted && equal && quiesced.ok ? 0 : NOT_EQUAL
    })

  fullCommand(program, signal, { say, print }, (passed) => { exitCode = passed ? 0 : NOT_EQUAL })

  transferOptions(program.command('mirror').description('mirror directory SRC into directory DST: agent and receiver as two processes over TLS on loopback; with --verify compare them instead, exit code 7 when they differ and are not repaired'))
    .addOption(new Option('--verify <how>', 'compare SRC and DST instead of mirroring').choices(['attributes', 'data']))
    .option('--repair', 'with --verify: mirror what differs, orphans as --orphans says, and verify again')
    .option('--report <file>', 'with --verify: where the report goes, a file of JSON lines')
    .option('--progress', 'tell now and then how far it is, on standard error')
    .argument('<src>').argument('<dst>')
    .action(async (src: string, dst: string, flags: TransferFlags & VerifyFlags) => {
      const options = { ...transferOf(src, dst, flags), progress: flags.progress === true ? (event: ProgressEvent) => { say(progressLine(event)) } : undefined }
      const verify = verificationOf(flags)
      if (verify !== undefined) {
        const verified = await verifyDirectories({ ...options, verify }, signal)
        if (flags.json === true) print(verified)
        else say(`${String(verified.filesCompared)} files compared, ${String(verified.differences)} differences, ${String(verified.moving)} moving, ${String(verified.repaired)} repaired; report ${verified.report}`)
        exitCode = verified.differences > 0 ? NOT_EQUAL : 0
        return
      }
      const result = await mirrorDirectories(options, signal)
      if (flags.json === true) print(result)
      else say(`${String(result.files)} files, ${String(result.bytesSent)} bytes sent, ${String(result.bytesSkipped)} skipped, ${String(result.findingsTotal)} findings, ${String(result.durationMs)} ms`)
    })

  transferOptions(program.command('replicate').description('mirror SRC into DST, keep replicating while COMMAND runs, then drain: replicate SRC DST -- COMMAND...'))
    .usage('[options] <src> <dst> -- <command...>').argument('<src>').argument('<dst>')
    .action(async (src: string, dst: string, flags: TransferFlags) => {
      if (command.length === 0) program.error('error: replicate needs a command after "--"')
      if (flags.orphansPreview === true) program.error('error: --orphans-preview changes nothing, so there is nothing to replicate onto')
      const result = await replicateDirectories(transferOf(src, dst, flags), command, signal)
      if (flags.json === true) print(result)
      if (result.commandExitCode !== 0) {
        say(`error: the command ${command[0] ?? ''} ${result.commandExitCode === null ? 'was ended by a signal' : `exited ${String(result.commandExitCode)}`}; what it wrote was replicated`)
        exitCode = CODES.TOOL_FAILED.exitCode
      }
      if (flags.json !== true) say(`${String(result.changes)} changes, latency median ${String(result.latencyMsP50)} ms, 99 % ${String(result.latencyMsP99)} ms, drained in ${String(result.drainMs)} ms${result.frozenMs === undefined ? '' : `, frozen for ${String(result.frozenMs)} ms`}`)
    })

  program.command('sweep').description('clean up what labs left behind whose process is gone').action(async () => {
    for (const id of await sweepStaleRuns()) say(`swept run ${id}`)
  })

  program.command('up').description('keep a lab running until Ctrl-C and print the environment for the command line').action(async () => {
    await using lab = await createLab({ say }, signal)
    const env = { ...lab.cli.env, LAB_VSPHERE: `127.0.0.1:${String(lab.front.port)}`, LAB_VSPHERE_USER: lab.user, LAB_THUMBPRINT: lab.front.certificate.thumbprint, LAB_SOURCE_ROOT: lab.source.root, LAB_RUN: lab.run.path }
    for (const [name, value] of Object.entries(env)) process.stdout.write(`export ${name}='${value}'\n`)
    await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  })

  try {
    await program.parseAsync(own, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE // commander has said what is wrong
    if (error instanceof Interrupted || signal.aborted) return INTERRUPTED
    const code = isAppError(error) ? error.code : 'INTERNAL'
    say(`error: ${error instanceof Error ? error.message : String(error)} (${code})`)
    if (isAppError(error)) say(CODES[code].operator)
    return CODES[code].exitCode
  }
}

process.exitCode = await main(process.argv.slice(2))
