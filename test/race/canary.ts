/** A tree that nobody may touch or read: what it is, to the last attribute, and what tells that something of it was read. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** stands in every file and every name of the tree */
export const SECRET = 'canary-2f6b1c'

/** Makes it. The names `a`, `b`, `e` are those that the races open, so that a link to it leads to something. */
export function makeCanary(path: string): void {
  for (const directory of [path, join(path, 'e'), join(path, 'e', 'e')]) {
    mkdirSync(directory)
    for (const name of ['a', 'b', SECRET]) writeFileSync(join(directory, name), `${SECRET} `.repeat(1000))
    symlinkSync(SECRET, join(directory, 'l'))
    execFileSync('mkfifo', [join(directory, 'p')])
    execFileSync('setfattr', ['-n', 'user.canary', '-v', SECRET, join(directory, 'a')])
  }
  execFileSync('chattr', ['+d', join(path, 'a')])
}

/** Everything about it but access times, which reading leaves alone. */
export function describeCanary(path: string): string[] {
  const lines: string[] = []
  const walk = (at: string): void => {
    const s = lstatSync(at, { bigint: true })
    const content = s.isFile() ? readFileSync(at, 'latin1').length : s.isSymbolicLink() ? readlinkSync(at) : ''
    const secret = s.isFile() ? String(readFileSync(at, 'latin1') === `${SECRET} `.repeat(1000)) : ''
    lines.push([at, s.ino, s.mode, s.nlink, s.uid, s.gid, s.rdev, s.size, s.mtimeNs, s.ctimeNs, content, secret].join(' '))
    if (s.isDirectory()) for (const name of readdirSync(at).sort()) walk(join(at, name))
  }
  walk(path)
  return [...lines, execFileSync('getfattr', ['-Rhdm-', '--absolute-names', path], { encoding: 'utf8' }), execFileSync('lsattr', ['-Ra', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })]
}

/** Inode numbers of all that is in it. */
export function inodesOf(path: string): Set<bigint> {
  const found = new Set<bigint>()
  const walk = (at: string): void => {
    const s = lstatSync(at, { bigint: true })
    found.add(s.ino)
    if (s.isDirectory()) for (const name of readdirSync(at)) walk(join(at, name))
  }
  walk(path)
  return found
}
