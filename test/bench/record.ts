/** What is kept of a measurement: what it ran on, and every raw figure. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PROJECT } from '../lab/paths.ts'
import { tool } from '../lab/tool.ts'

/** The versions of all that is measured or measures. */
export async function versions(): Promise<Record<string, string>> {
  const firstLine = async (name: string, args: readonly string[]): Promise<string> => (await tool(name, args)).stdout.split('\n')[0] ?? ''
  const processors = /^model name\s*: (.*)$/m.exec((await tool('cat', ['/proc/cpuinfo'])).stdout)?.[1] ?? 'processor'
  return {
    commit: await firstLine('git', ['-C', PROJECT, 'describe', '--always', '--dirty']), kernel: await firstLine('uname', ['-r']), node: process.version,
    rsync: await firstLine('rsync', ['--version']), tar: await firstLine('tar', ['--version']), processors: `${await firstLine('nproc', [])} × ${processors}`,
  }
}

/** Writes it to .lab/bench/, beside the earlier ones. */
export async function keepRecord(name: string, startedAt: Date, record: object): Promise<void> {
  const folder = join(PROJECT, '.lab', 'bench')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${name}-${startedAt.toISOString().replaceAll(':', '')}.json`), `${JSON.stringify(record, null, 2)}\n`)
}
