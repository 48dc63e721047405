/** `npm run bench -- mirror` and `npm run bench -- replicate`. */
import { Command, Option } from 'commander'
import { Interrupted, interruptible } from '../lab/interruption.ts'
import { addReplicate } from './replicate-command.ts'
import { keepRecord, versions } from './record.ts'
import { benchMirror, figuresOf, WORKS, type MirrorBench, type WorkName } from './mirror.ts'
import { exitCodeOf } from './verdict.ts'

const print = (line: string): void => { process.stdout.write(`${line}\n`) }
const say = (line: string): void => { process.stderr.write(`${line}\n`) }
const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${text} is no whole number above 0`)
  return number
}

interface Flags {
  fs: 'ext4' | 'xfs', on: 'memory' | 'disk', runs: number, files: number, largeFiles: number, largeMib: number, deltaMib: number, memoryFiles: number
  root?: string, works?: WorkName[], quick?: boolean, strict?: boolean, json?: boolean
}

const program = new Command('bench').description('Measures on this machine against named peers; run as root on a quiet machine.')
program.command('mirror').description('the mirror against rsync and tar, alternating, medians; also written to .lab/bench/ with the time of every run')
  .addOption(new Option('--fs <type>', 'file system of both ends').choices(['ext4', 'xfs']).default('ext4'))
  .addOption(new Option('--on <place>', 'where the images lie').choices(['memory', 'disk']).default('memory'))
  .option('--runs <n>', 'runs of each side', whole, 5)
  .option('--files <n>', 'small files', whole, 100_000)
  .option('--large-files <n>', 'large files', whole, 4).option('--large-mib <n>', 'size of each', whole, 1024)
  .option('--delta-mib <n>', 'size of the file of which blocks change', whole, 2048)
  .option('--memory-files <n>', 'files for the row of memory', whole, 2_000_000)
  .option('--root <dir>', 'copy this tree instead of the lab\'s Debian root tree')
  .addOption(new Option('--works <name...>', 'only these').choices(WORKS))
  .option('--quick', 'a tenth of everything, three runs').option('--strict', 'end with 7 when a row is not as it is wanted')
  .option('--json', 'print one JSON object')
  .action(async (flags: Flags) => {
    const part = (number: number): number => flags.quick === true ? Math.ceil(number / 10) : number
    const options = {
      type: flags.fs, on: flags.on, runs: flags.quick === true ? Math.min(3, flags.runs) : flags.runs, smallFiles: part(flags.files), largeFiles: flags.largeFiles, largeMiB: part(flags.largeMib),
      deltaMiB: part(flags.deltaMib), memoryFiles: part(flags.memoryFiles), root: flags.root, works: flags.works ?? WORKS,
    }
    const startedAt = new Date()
    using interruption = interruptible()
    const result = await benchMirror(options, say, interruption.signal)
    const record = { at: startedAt.toISOString(), versions: await versions(), options, ...result }
    await keepRecord('mirror', startedAt, record)
    if (flags.json === true) print(JSON.stringify(record))
    else table(record.versions, options, result)
    process.exitCode = exitCodeOf(figuresOf(result), flags.strict === true)
  })
addReplicate(program, say, print)
try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof Interrupted)) throw error
  process.exitCode = 130
}

function table(about: Record<string, string>, { type, on, runs }: { type: string, on: string, runs: number }, { rows, memory }: MirrorBench): void {
  print(Object.entries(about).map(([name, value]) => `${name}: ${value}`).join('; '))
  print(`${type} on loop devices, images ${on === 'memory' ? 'in memory' : 'on disk'}; medians of ${String(runs)} runs; ms, in brackets processor time of the whole machine\n`)
  if (rows.length > 0) print('| work | peer | ours | peer | times as fast | wanted | bytes sent, ours / peer |\n|---|---|---|---|---|---|---|')
  for (const { work, peer, oursMs, peerMs, oursCpuMs, peerCpuMs, ratio, least, runs: { ours, peer: theirs } } of rows) {
    const share = (ours[0]?.bytesSent ?? Number.NaN) / (theirs[0]?.bytesSent ?? Number.NaN)
    print(`| ${work} | \`${peer}\` | ${String(oursMs)} (${String(oursCpuMs)}) | ${String(peerMs)} (${String(peerCpuMs)}) | ${ratio.toFixed(2)} | ${least.toFixed(1)} | ${Number.isNaN(share) ? '' : share.toFixed(2)} |`)
  }
  if (memory.length > 0) print('\n| work | agent, most resident | receiver, most resident | ms |\n|---|---|---|---|')
  for (const { work, agentMiB, receiverMiB, ms } of memory) print(`| ${work} | ${String(agentMiB)} MiB | ${String(receiverMiB)} MiB | ${String(ms)} |`)
}
