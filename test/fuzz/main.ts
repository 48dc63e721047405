/** `npm run fuzz -- TARGET [--seconds N] [--seed S] [--input FILE]`: spoiled bytes against the decoders of what a peer sends. */
import { Argument, Command, Option } from 'commander'
import { fuzz } from './fuzz.ts'
import { TARGETS, type TargetName } from './targets.ts'

const number = (text: string): number => {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${text} is no number`)
  return value
}

await new Command('fuzz').description('spoil recorded bytes (fixtures/wire) and give them to a decoder, in a process of its own; exit code 1 when it breaks, with the input in a file')
  .addArgument(new Argument('<target>', 'what is fuzzed').choices(TARGETS))
  .option('--seconds <n>', 'how long', number, 10)
  .addOption(new Option('--seed <s>', 'the same seed makes the same inputs').argParser(number).default(undefined, 'random'))
  .option('--input <file>', 'try this input only')
  .action(async (target: TargetName, { seconds, seed = Math.floor(Math.random() * 2 ** 31), input }: { seconds: number, seed?: number, input?: string }) => {
    process.stderr.write(`fuzzing ${target}, seed ${String(seed)}, ${String(seconds)} s\n`)
    const { runs, broken } = await fuzz({ target, seconds, seed, input })
    if (broken === undefined) {
      process.stderr.write(`${String(runs)} inputs, nothing broke\n`)
      return
    }
    process.stderr.write(`${broken.what}\nbroken by ${broken.file}; again: npm run fuzz -- ${target} --input ${broken.file}\n`)
    process.exitCode = 1
  }).parseAsync()
