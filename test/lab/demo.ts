/**
 * `npm run demo [-- --spoil] [-- --keep]`: a real Debian system is mirrored into disks made through the vSphere API while it is being
 * written to, is cut over, and boots; then the proof. Everything goes through the command line as a user would type it.
 */
import { dirname } from 'node:path'
import { createLab } from './lab.ts'
import { interruptible, Interrupted } from './interruption.ts'
import { typed } from './lab-cli.ts'
import { migrate, type MigrateResult } from './migrate.ts'

const PAD = 24
const MANY = 10

const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === ''
const paint = (code: number, text: string): string => (colours ? `\x1b[${String(code)}m${text}\x1b[0m` : text)
const write = (line: string): void => { process.stdout.write(`${line}\n`) }
const heading = (text: string): void => { write(`\n${paint(1, text)}`) }

async function main(): Promise<number> {
  const known = new Set(['--spoil', '--keep'])
  const wrong = process.argv.slice(2).find(arg => !known.has(arg))
  if (wrong !== undefined) {
    process.stderr.write(`error: unknown argument "${wrong}"; demo takes --spoil (change one byte of the replica before comparing) and --keep (leave the run's files)\n`)
    return 2
  }
  const spoil = process.argv.includes('--spoil')
  const startedAt = performance.now()
  using interruption = interruptible()
  try {
    heading('The lab starts')
    await using lab = await createLab({ say: line => { write(`  ${line}`) }, keepFiles: process.argv.includes('--keep') }, interruption.signal)
    const labMs = Math.round(performance.now() - startedAt)
    heading('A migration, as you would type it')
    const result = await migrate(lab, {
      spoil, show: true,
      onCommand: (args) => { write(`\n${paint(36, `$ ${typed('landfall', args)}`)}`) },
      onStep: (what) => { write(paint(2, `  ${what}`)) },
    }, interruption.signal)
    report({ ...result, phasesMs: { lab: labMs, ...result.phasesMs } }, spoil)
    write(`\nTotal ${seconds(performance.now() - startedAt)}`)
    return result.booted && result.equal ? 0 : 1
  } catch (error) {
    if (error instanceof Interrupted || interruption.signal.aborted) return 130
    process.stderr.write(`\nerror: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

function report(result: MigrateResult, spoiled: boolean): void {
  const { comparison, proofs } = result
  const verdict = (good: boolean): string => (good ? paint(32, 'PASS') : paint(31, 'FAIL'))
  heading('The proof')
  const consoleLines = result.console.replaceAll('\r', '').split('\n').filter(line => line.includes(result.hostName) && result.hostName !== '' && !line.startsWith('LANDFALL-BOOT'))
  write(`  console of the replica: ${consoleLines.at(-1)?.trim() ?? '(nothing)'}`)
  write(`  its screen, as the appliance kept it: ${String(result.screen.width)} × ${String(result.screen.height)} pixels${result.screen.isEmpty ? ', empty' : ''}`)
  if (proofs.example !== undefined) write(`  its checksum of a file written during the mirror:\n    ${proofs.example.sha256}  ${proofs.example.path}`)
  write(`  ${verdict(result.booted)}  booted as ${result.hostName || '(nobody)'}; ${String(proofs.right)} of ${String(proofs.duringMirror)} files written during the mirror have the right checksum there`)
  if (spoiled) write('  (one byte of /data/db/table.ibd was changed on the replica before comparing)')
  write(`  ${verdict(result.equal)}  ${String(comparison.entries)} entries compared by ${comparison.judge === 'treecmp' ? 'treecmp' : 'rsync (treecmp is not beside the project)'}: ${String(result.differences)} differences`)
  for (const { path, what } of comparison.differences.slice(0, 20)) write(`        ${path}: ${what}`)
  for (const violation of result.violations) write(`        ${violation}`)
  const fixups = new Map<string, Set<string>>()
  for (const { path, what } of comparison.fixups) fixups.set(path, (fixups.get(path) ?? new Set()).add(plain(what)))
  write(`  changed on purpose so that it boots on VMware's hardware (${String(fixups.size)}):`)
  for (const line of grouped(fixups)) write(`        ${line}`)
  heading('Times')
  for (const [phase, ms] of Object.entries(result.phasesMs)) write(`  ${phase.padEnd(PAD)}${seconds(ms)}`)
  write(`  ${'downtime'.padEnd(PAD)}${seconds(result.downtimeMs)}`)
}

function plain(what: string): string {
  return what === 'mtime_ns' ? 'time' : what.startsWith('orphan') ? 'new' : what.startsWith('missing') ? 'removed' : what
}

/** Many files of one directory that differ alike are one line. */
function grouped(fixups: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const groups = new Map<string, string[]>()
  for (const [path, what] of fixups) {
    const key = `${dirname(path)}\0${[...what].join(', ')}`
    groups.set(key, [...groups.get(key) ?? [], path])
  }
  return [...groups].flatMap(([key, paths]) => {
    const [directory = '', what = ''] = key.split('\0')
    return paths.length > MANY ? [`${directory}/* (${String(paths.length)} files): ${what}`] : paths.map(path => `${path}: ${what}`)
  })
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(7)} s`
}

process.exitCode = await main()
