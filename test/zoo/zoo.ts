/** A directory with every kind of file and attribute, made by a program that shares nothing with the product. */
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoopType } from './loop-file-system.ts'

const SCRIPT = fileURLToPath(new URL('zoo.py', import.meta.url))
const TREECMP = fileURLToPath(new URL('../../../shared/tools/treecmp', import.meta.url))

/** What of a zoo each file system cannot hold; anything else that it does not know would be a gap in the test. */
export const UNKNOWN: Record<LoopType, RegExp> = {
  // project ids need a kernel with quotas
  ext4: /^flag nocow|^project ids/,
  xfs: /^flag (nocow|dirsync)|symlink of 4095/,
  btrfs: /^project ids|symlink of 4095/,
}

/** Fills an existing, empty directory. Answers what its file system does not know, in words. Needs root. */
export function buildZoo(directory: string): string[] {
  const answer: unknown = JSON.parse(execFileSync('python3', [SCRIPT, directory], { encoding: 'utf8' }))
  if (!Array.isArray(answer)) throw new TypeError('zoo.py answered no list')
  return answer.map(String)
}

/** Takes append-only and immutable off, so that a zoo can be removed. */
export function tameZoo(directory: string): void {
  // it fails for whatever has no flags, and goes on
  spawnSync('chattr', ['-R', '-f', '-ia', directory], { stdio: 'ignore' })
}

/** The lines that an independent comparison prints for differences; none when the trees are equal. */
export function differences(source: string, replica: string): string[] {
  return [...lines('treecmp', TREECMP, [source, replica]).filter(line => !/^treecmp: \d+ entries, 0 differences$/.test(line)),
    ...lines('rsync', 'rsync', ['-niaHAXS', '--delete', '--exclude=/lost+found', `${source}/`, `${replica}/`])]
}

function lines(tool: string, path: string, args: string[]): string[] {
  try {
    return execFileSync(path, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).split('\n').filter(line => line !== '').map(line => `${tool}: ${line}`)
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string, stderr?: string }
    return `${stdout ?? ''}${stderr ?? String(error)}`.split('\n').filter(line => line !== '').map(line => `${tool}: ${line}`)
  }
}
