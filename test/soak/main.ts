/** `npm run soak`: replication under random workloads and random faults, compared after each round, for as long as is wanted. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { Interrupted, interruptible } from '../lab/interruption.ts'
import { PROJECT } from '../lab/paths.ts'
import type { LoopType } from '../zoo/loop-file-system.ts'
import { FAULTS, runRound, type Fault } from './round.ts'

const TYPES = ['ext4', 'xfs', 'btrfs'] as const satisfies readonly LoopType[]
const FAILED = 1
const INTERRUPTED = 130
const SHOWN = 40

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${text} is no whole number`)
  return number
}
const print = (line: string): void => { process.stdout.write(`${line}\n`) }

const program = new Command('soak').description('Replicates file systems under random workloads while agent, receiver and line fail at random; drains, compares, and begins again. Ends with 1 at the first difference. Run as root.')
  .option('--seconds <n>', 'how long: no round begins after it', whole, 3600)
  .option('--seed <n>', 'of the first round; each round has the next one', whole, Date.now() % 1_000_000)
  .addOption(new Option('--fs <type...>', 'file systems, in turn').choices(TYPES).default(['ext4', 'xfs', 'btrfs']))
  .addOption(new Option('--faults <kind...>', 'only these').choices(FAULTS))
  .option('--no-faults', 'none')
  .parse()
const { seconds, seed: firstSeed, fs, faults } = program.opts<{ seconds: number, seed: number, fs: LoopType[], faults: Fault[] | boolean | undefined }>()
const wanted = faults === false ? [] : Array.isArray(faults) ? faults : FAULTS

using interruption = interruptible()
const until = performance.now() + seconds * 1000
const logs = join(PROJECT, '.lab', 'soak')
print(`SEED=${String(firstSeed)}`)
for (let round = 0; (round === 0 || performance.now() < until) && process.exitCode === undefined; round++) {
  const seed = firstSeed + round
  const type = fs[seed % fs.length] ?? 'ext4'
  const folder = join(logs, String(seed))
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const again = `again: npm run soak -- --seconds 0 --seed ${String(seed)} --fs ${type}${wanted.length === 0 ? ' --no-faults' : ` --faults ${wanted.join(' ')}`}; logs: .lab/soak/${String(seed)}`
  try {
    const { workloads, happened, differences, changes, latencyMsP99 } = await runRound({ seed, type, faults: wanted }, folder, interruption.signal)
    print(`seed ${String(seed)} ${type}: ${differences.length === 0 ? 'equal' : 'DIFFERENT'} after ${workloads.join(', ')}; ${String(changes)} changes since the last mirror, 99 % within ${String(latencyMsP99)} ms; ${happened.join('; ')}`)
    if (differences.length === 0) {
      await rm(folder, { recursive: true })
      continue
    }
    for (const line of differences.slice(0, SHOWN)) print(`  ${line}`)
    print(again)
    process.exitCode = FAILED
  } catch (error) {
    if (error instanceof Interrupted || interruption.signal.aborted) process.exitCode = INTERRUPTED
    else {
      print(`seed ${String(seed)} ${type}: FAILED: ${error instanceof Error ? error.message : String(error)}`)
      print(again)
      process.exitCode = FAILED
    }
  }
}
