/** `npm run bench -- mirror [--files N] [--runs N] [--large-mib N] [--json]`: measures against named peers in the same run. */
import { parseArgs } from 'node:util'
import { execa } from 'execa'
import { benchMirror } from './mirror.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: 'string', default: '20000' }, runs: { type: 'string', default: '3' }, 'large-mib': { type: 'string', default: '1024' }, json: { type: 'boolean', default: false },
  },
})
const print = (line: string): void => { process.stdout.write(`${line}\n`) }
const tell = (line: string): void => { process.stderr.write(`${line}\n`) }

if (positionals[0] !== undefined && positionals[0] !== 'mirror') {
  tell('usage: npm run bench -- [mirror] [--files N] [--runs N] [--large-mib N] [--json]')
  process.exitCode = 2
} else {
  const options = { files: Number(values.files), runs: Number(values.runs), largeMiB: Number(values['large-mib']) }
  const rows = await benchMirror(options, tell)
  const versions = { node: process.version, kernel: (await execa('uname', ['-r'])).stdout, rsync: (await execa('rsync', ['--version'])).stdout.split('\n')[0] ?? '' }
  if (values.json) {
    print(JSON.stringify({ versions, options, rows }))
  } else {
    print(`kernel ${versions.kernel}, node ${versions.node}, ${versions.rsync}; ${String(options.runs)} runs each, medians`)
    print('| work | peer | ours ms | peer ms | peer / ours |')
    print('|---|---|---|---|---|')
    for (const row of rows) print(`| ${row.work} | \`${row.peer}\` | ${String(row.oursMs)} | ${String(row.peerMs)} | ${row.ratio.toFixed(2)} |`)
  }
}
