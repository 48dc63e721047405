/** `lab -- full`: the command with its options. */
import { Option, type Command } from 'commander'
import { createFullLab } from './full-lab.ts'
import { migrateGuest, prepare, type FullResult } from './full.ts'
import { QUICK, VARIANTS } from './variants.ts'

interface Flags { json?: boolean, keep?: boolean, all?: boolean, variant: string }

interface Out { say: (line: string) => void, print: (value: unknown) => void }

/** @param done whether everything that ran was proven */
export function fullCommand(program: Command, signal: AbortSignal, { say, print }: Out, done: (passed: boolean) => void): void {
  program.command('full').description('migrate sources that are guests with an appliance that is a guest, and prove the replicas; exit code 7 when a check fails or they differ')
    .addOption(new Option('--variant <name>', Object.entries(VARIANTS).map(([name, { what }]) => `${name}: ${what}`).join('; ')).choices(Object.keys(VARIANTS)).default(QUICK))
    .option('--all', 'every variant, one after the other').option('--json', 'print one JSON object').option('--keep', 'leave the runs\' folders behind')
    .action(async ({ json, keep, all, variant }: Flags) => {
      const results: (Omit<FullResult, 'comparison'> & { variant: string, entries: number, judge: string, found: unknown })[] = []
      for (const name of all === true ? Object.keys(VARIANTS) : [variant]) {
        for (const { comparison, ...result } of await runVariant(name, { keep: keep === true, say }, signal)) {
          results.push({ variant: name, ...result, entries: comparison.entries, judge: comparison.judge, found: comparison.differences.slice(0, 100) })
          for (const { check, ok, detail } of result.checks) say(`${ok ? 'pass' : 'FAIL'}  ${check}: ${detail}`)
          say(`${name}, ${result.source}: booted: ${String(result.booted)}, equal: ${String(result.equal)}, differences: ${String(result.differences)}, downtime: ${String(result.downtimeMs)} ms, without the boot: ${String(result.downtimeWithoutBootMs)} ms`)
        }
      }
      const passed = results.every(r => r.booted && r.equal)
      // one variant with one source is an object as that of `migrate`
      if (json === true) print(results.length === 1 ? results[0] : { booted: results.every(r => r.booted), equal: results.every(r => r.equal), differences: results.reduce((sum, r) => sum + r.differences, 0), results })
      done(passed)
    })
}

/** One lab with the variant's sources, all of them migrated at once. */
export async function runVariant(name: string, o: { keep?: boolean, say: (line: string) => void }, signal: AbortSignal): Promise<FullResult[]> {
  const variant = VARIANTS[name]
  if (variant === undefined) throw new Error(`there is no variant ${name}`)
  const { say } = o
  const begunAt = performance.now()
  await using lab = await createFullLab({ sources: variant.sources, say, keepFiles: o.keep === true }, signal)
  const options = { newAddresses: variant.newAddresses ?? {}, onStep: say, onCommand: (typed: readonly string[]) => { say(`landfall ${typed.join(' ')}`) } }
  const startedAt = performance.now()
  await prepare(lab, options, signal)
  const phasesMs = { start: Math.round(startedAt - begunAt), enrol: Math.round(performance.now() - startedAt) }
  const results = await Promise.all(lab.sources.map(async source => await migrateGuest(lab, source, options, signal)))
  return results.map(result => ({ ...result, phasesMs: { ...phasesMs, ...result.phasesMs } }))
}
