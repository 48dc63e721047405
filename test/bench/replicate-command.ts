/** The command `replicate` of the bench: its flags and its table. */
import { Option, type Command } from 'commander'
import { interruptible } from '../lab/interruption.ts'
import { keepRecord, versions } from './record.ts'
import { benchReplicate, REPLICATE_WORKS, type ReplicateBenchOptions, type ReplicateRow, type ReplicateWork } from './replicate.ts'
import { exitCodeOf, isMet, type Figure } from './verdict.ts'

interface Flags { fs: 'ext4' | 'xfs', on: 'memory' | 'disk', files: number, largeMib: number, seconds: number, runs: number, memoryFiles: number, memorySeconds: number, works?: ReplicateWork[], quick?: boolean, strict?: boolean, json?: boolean }

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${text} is no whole number above 0`)
  return number
}

export function addReplicate(program: Command, say: (line: string) => void, print: (line: string) => void): void {
  program.command('replicate').description('replication under load: latency, processor time, bytes sent, equality; also written to .lab/bench/. Exit code 7 when a replica differed, or with --strict when a figure is not as it is wanted')
    .addOption(new Option('--fs <type>', 'file system of both ends').choices(['ext4', 'xfs']).default('ext4'))
    .addOption(new Option('--on <place>', 'where the images lie; what does not fit into memory lies on disk').choices(['memory', 'disk']).default('memory'))
    .option('--files <n>', 'small files', whole, 100_000)
    .option('--large-mib <n>', 'size of the file with random writes', whole, 10_240)
    .option('--seconds <n>', 'how long each load runs', whole, 60)
    .option('--runs <n>', 'runs of each work with and without an agent', whole, 5)
    .option('--memory-files <n>', 'files for the row of memory', whole, 2_000_000).option('--memory-seconds <n>', 'how long a day takes there', whole, 300)
    .addOption(new Option('--works <name...>', 'only these').choices(REPLICATE_WORKS))
    .option('--quick', 'a tenth of the data for a quarter of the time').option('--strict', 'end with 7 when any figure is not as it is wanted').option('--json', 'print one JSON object')
    .action(async (flags: Flags) => {
      const part = (number: number, of: number): number => flags.quick === true ? Math.ceil(number / of) : number
      const options: ReplicateBenchOptions = {
        type: flags.fs, on: flags.on, files: part(flags.files, 10), largeMiB: part(flags.largeMib, 10), seconds: part(flags.seconds, 4), runs: flags.quick === true ? Math.min(3, flags.runs) : flags.runs, size: flags.quick === true ? 0.25 : 1,
        memoryFiles: part(flags.memoryFiles, 10), memorySeconds: part(flags.memorySeconds, 4), works: flags.works ?? REPLICATE_WORKS,
      }
      const startedAt = new Date()
      using interruption = interruptible()
      const rows: ReplicateRow[] = []
      const record = { at: startedAt.toISOString(), versions: await versions(), options, rows }
      for await (const row of benchReplicate(options, say, interruption.signal)) {
        say(`${row.work}: ${row.figures.map(inWords).join(', ')}`)
        rows.push(row)
        await keepRecord('replicate', startedAt, record)
      }
      if (flags.json === true) print(JSON.stringify(record))
      else table(record.versions, options, rows, print)
      process.exitCode = exitCodeOf(rows.flatMap(row => row.figures), flags.strict === true)
    })
}

function table(about: Record<string, string>, { type, on }: ReplicateBenchOptions, rows: readonly ReplicateRow[], print: (line: string) => void): void {
  print(Object.entries(about).map(([name, value]) => `${name}: ${value}`).join('; '))
  print(`${type} on loop devices, images ${on === 'memory' ? 'in memory where they fit' : 'on disk'}\n`)
  print('| work | figure | measured | wanted | met |\n|---|---|---|---|---|')
  for (const { work, figures } of rows) {
    for (const [at, figure] of figures.entries()) {
      print(`| ${at === 0 ? work : ''} | ${figure.what} | ${amount(figure)} | ${limitOf(figure)} | ${isMet(figure) ? limitOf(figure) === '' ? '' : 'yes' : '**no**'} |`)
    }
  }
}

function inWords(figure: Figure): string {
  return `${figure.what} ${amount(figure)}${isMet(figure) ? '' : ' (not met)'}`
}

function limitOf(figure: Figure): string {
  const { most, least } = figure
  return most !== undefined ? `≤ ${amount({ ...figure, value: most })}` : least !== undefined ? `≥ ${amount({ ...figure, value: least })}` : ''
}

function amount({ value, unit }: Figure): string {
  return `${Number.isInteger(value) ? String(value) : value.toFixed(2)}${unit === '' ? '' : ` ${unit}`}`
}
