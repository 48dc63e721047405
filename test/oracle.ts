/** Tools we did not write, that say whether two trees are equal. */
import { fileURLToPath } from 'node:url'
import { existsSync } from 'node:fs'
import { execa } from 'execa'

const TREECMP = fileURLToPath(new URL('../../shared/tools/treecmp', import.meta.url))

/**
 * What differs between the trees: lines of treecmp (where it is beside the project; under REQUIRE_SYSTEM it has to be) and of rsync's dry run;
 * none when they are equal.
 */
export async function differences(source: string, replica: string): Promise<readonly string[]> {
  const lines: string[] = []
  if (existsSync(TREECMP) || process.env['REQUIRE_SYSTEM'] === '1') {
    const { stdout, stderr, exitCode } = await execa('python3', [TREECMP, source, replica], { reject: false })
    if (exitCode !== 0) lines.push(...stdout.split('\n').slice(0, -1), `treecmp exited ${String(exitCode)} ${stderr}`)
  }
  const rsync = await execa('rsync', ['-niaHAXS', '--delete', '--checksum', '--exclude=/lost+found', `${source}/`, `${replica}/`])
  lines.push(...rsync.stdout.split('\n').filter(line => line !== ''))
  return lines
}
