/** More names than fit: into the memory that a listing may take, and of one object, on the replica. */
import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { inShort, mirrorBetween } from '../../zoo/mirror-between.ts'

const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const python = (script: string, ...args: string[]): string => run('python3', '-c', `import os, sys\n${script}`, ...args)

/** Their names, of 255 bytes and 8 more in memory, are more than the 64 MiB that the addon holds of one directory. A million names would show no more. */
const CROWD = 260_000
const nameOf = (i: number): string => String(i).padStart(6, '0').padEnd(255, 'n')

t.test('a directory whose names do not fit into memory is mirrored, and so is one change in it', { skip: MOUNT_SKIP }, async t => {
  using source = mountLoop('ext4', 1024, undefined, ['-N', '300000'])
  using replica = mountLoop('ext4', 1024, undefined, ['-N', '300000'])
  const at = (i: number): string => join(source.path, 'crowd', nameOf(i))
  python(`
os.chdir(sys.argv[1]); os.mkdir('crowd'); os.chdir('crowd')
count = int(sys.argv[2])
for i in range(count): os.mknod(('%06d' % i).ljust(255, 'n'), 0o100640)
`, source.path, String(CROWD))
  const first = await mirrorBetween(source.path, replica.path)
  t.same(first.all, [])
  // with their directory and lost+found, which is equal where both file systems were made in the same second
  t.match(first, { filesFound: CROWD + 2 })
  t.equal(first.filesDone + first.filesSkipped, CROWD + 2)
  t.ok(first.filesDone > CROWD)
  // at both ends of the order, and where the second window begins
  for (const i of [1, CROWD >> 1, CROWD - 1]) {
    writeFileSync(at(i), 'changed')
    rmSync(at(i - 1))
    writeFileSync(`${at(i - 1).slice(0, -1)}x`, 'new')
  }
  const second = await mirrorBetween(source.path, replica.path)
  t.same(second.all, [])
  t.match(second, { filesFound: CROWD + 2, filesDone: 7, filesSkipped: CROWD - 5 })
  t.ok(second.bytesSent < 10_000, `${String(second.bytesSent)} bytes for six files`)
  // treecmp would take long; that files are equal is shown elsewhere
  t.equal(run('rsync', '-niaHAXS', '--delete', '--exclude=/lost+found', `${source.path}/`, `${replica.path}/`), '')
})

t.test('names of an object beyond what the replica allows one to have are told, and all others lead to one object', { skip: MOUNT_SKIP }, async t => {
  using source = mountLoop('xfs')
  using replica = mountLoop('ext4')
  python(`
os.chdir(sys.argv[1]); os.mkdir('d')
open('first', 'w').write('content'); open('d/other', 'w').write('other')
for i in range(65_009): os.link('first', 'd/%05d' % i)
`, source.path)
  const { all } = await mirrorBetween(source.path, replica.path)
  const there = new Set(readdirSync(join(replica.path, 'd')))
  const missing = readdirSync(join(source.path, 'd')).filter(name => !there.has(name))
  t.equal(missing.length, 10)
  t.same(inShort(all), missing.map(name => `REPLICA_REFUSED d/${name}`).sort())
  t.match(all[0]?.message ?? '', /EMLINK/)
  t.equal(statSync(join(replica.path, 'first')).nlink, 65_000)
  const { ino } = lstatSync(join(replica.path, 'first'))
  t.equal([...there].filter(name => lstatSync(join(replica.path, 'd', name)).ino !== ino).join(), 'other')
  // treecmp would print all the names; rsync says `h` for those that are missing
  t.same(run('rsync', '-niaHAXS', '--delete', '--exclude=/lost+found', `${source.path}/`, `${replica.path}/`).split('\n').filter(line => line !== '' && !missing.some(name => line.includes(`d/${name} `))), [])
})
