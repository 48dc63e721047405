/** Records one run of a real tool as a fixture: npx node test/record-command.ts <tool>/<case> -- ARGS… (see src/command/scripted-runner.ts). */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [name, separator, ...args] = process.argv.slice(2)
const tool = name?.split('/')[0]
if (name === undefined || tool === undefined || name.split('/').length !== 2 || separator !== '--') {
  process.stderr.write('usage: npx node test/record-command.ts <tool>/<case> -- ARGS…\n')
  process.exit(2)
}
const run = spawnSync(tool, args, { encoding: 'utf8', input: '', env: { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
if (run.status === null) {
  process.stderr.write(`${tool}: ${run.error?.message ?? run.signal ?? 'did not run'}\n`)
  process.exit(1)
}
const folder = join(import.meta.dirname, '..', 'fixtures', 'command', name)
mkdirSync(folder, { recursive: true })
const streams = { stdout: run.stdout, stderr: run.stderr }
for (const [file, text] of Object.entries(streams)) if (text !== '') writeFileSync(join(folder, file), text)
const named = Object.fromEntries(Object.entries(streams).flatMap(([file, text]) => text === '' ? [] : [[file, file]]))
writeFileSync(join(folder, 'run.json'), `${JSON.stringify({ tool, args, exitCode: run.status, ...named }, null, 2)}\n`)
