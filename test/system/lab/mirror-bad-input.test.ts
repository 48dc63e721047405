/** Bad input to `lab -- mirror`: each has a code and says what to do, or is a finding with which the mirror goes on; nothing is lost. */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { CODES, type ErrorCode } from '../../../src/errors/codes.ts'
import { NODE } from '../../lab/paths.ts'
import { differences } from '../../oracle.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'

const MAIN = new URL('../../lab/main.ts', import.meta.url).pathname
const LIMIT_MS = 120_000
const Result = z.object({ files: z.number(), findings: z.array(z.object({ code: z.string(), subject: z.string(), message: z.string(), advice: z.string() })) })

const lab = async (...args: string[]) => await execa(NODE, [MAIN, 'mirror', ...args], { reject: false, stdin: 'ignore', timeout: LIMIT_MS })

/** Ends with the code, its exit code, one sentence and what to do. */
async function refused(t: Test, args: readonly string[], code: ErrorCode): Promise<void> {
  const { exitCode, stdout, stderr } = await lab(...args)
  t.equal(exitCode, CODES[code].exitCode, `${code}: exit code`)
  t.match(stderr, new RegExp(`^error: .{10,} \\(${code}\\)$`, 'm'))
  t.ok(stderr.includes(CODES[code].operator), 'it says what to do')
  t.notMatch(stderr, /\n\s+at |node_modules/, 'no stack')
  t.equal(stdout, '')
}

async function mirrored(t: Test, ...args: string[]): Promise<z.infer<typeof Result>> {
  const { exitCode, stdout, stderr } = await lab(...args, '--json')
  t.equal(exitCode, 0, stderr)
  return Result.parse(JSON.parse(stdout))
}

async function assertEqual(t: Test, source: string, target: string): Promise<void> {
  t.strictSame(await differences(source, target), [], 'treecmp and rsync find nothing')
}

function makeSource(t: Test): string {
  const source = join(t.testdir(), 'source')
  mkdirSync(join(source, 'd'), { recursive: true })
  writeFileSync(join(source, 'd', 'f'), 'content')
  return source
}

void t.test('a root that is not the expected volume is refused, and nothing is written', { skip: MOUNT_SKIP }, async t => {
  const source = makeSource(t)
  using volume = mountLoop('ext4', 64)
  const target = volume.path
  await refused(t, [source, target, '--volume-id', 'job/0'], 'REPLICA_ROOT_FOREIGN')
  t.same(readdirSync(target), ['lost+found'])
  await mirrored(t, source, target, '--volume-id', 'job/0', '--mark')
  await mirrored(t, source, target, '--volume-id', 'job/0', '--compare', 'data')
  const before = lstatSync(join(target, 'd', 'f'), { bigint: true }).ctimeNs
  writeFileSync(join(source, 'd', 'f'), 'changed')
  for (const wrong of [['--volume-id', 'job/1'], ['--volume-id', 'other/0', '--mark'], []]) await refused(t, [source, target, ...wrong], 'REPLICA_ROOT_FOREIGN')
  t.equal(lstatSync(join(target, 'd', 'f'), { bigint: true }).ctimeNs, before)
  execFileSync('umount', [target])
  try {
    await refused(t, [source, target, '--volume-id', 'job/0'], 'REPLICA_ROOT_FOREIGN')
    t.same(readdirSync(target), [], 'nothing is written below a mount that is gone')
  } finally {
    execFileSync('mount', ['-o', 'loop', join(target, '..', 'image'), target])
  }
  writeFileSync(join(source, 'd', 'f'), 'content')
  await mirrored(t, source, target, '--volume-id', 'job/0', '--compare', 'data')
  execFileSync('setfattr', ['-x', 'trusted.landfall.volume', target])
  await refused(t, [source, target, '--volume-id', 'job/0', '--mark'], 'REPLICA_ROOT_FOREIGN')
  await assertEqual(t, source, target)
})

void t.test('SRC and DST that are missing, no directories, or in each other', async t => {
  const source = makeSource(t)
  const base = t.testdirName
  const file = join(base, 'file')
  writeFileSync(file, '')
  for (const wrong of [join(base, 'nowhere'), file]) await refused(t, [wrong, join(base, 'new')], 'SOURCE_MISSING')
  await refused(t, [source, file], 'REPLICA_ROOT_MISSING')
  await refused(t, [source, join(base, 'a', 'b', 'c')], 'REPLICA_ROOT_MISSING')
  await refused(t, [source, join(source, 'd', 'inner')], 'REQUEST_INVALID')
  await refused(t, [join(source, 'd'), source], 'REQUEST_INVALID')
  symlinkSync(source, join(source, 'd', 'again'))
  await refused(t, [source, join(source, 'd', 'again')], 'REQUEST_INVALID')
  t.same(readdirSync(join(source, 'd')).sort(), ['again', 'f'], 'nothing was made')
  await refused(t, [source, join(base, 'x'), '--mark'], 'REQUEST_INVALID')
})

void t.test('rules with an illegal pattern, and an orphans folder that is not outside', async t => {
  const source = makeSource(t)
  const target = `${source}-target`
  mkdirSync(target)
  writeFileSync(join(target, 'orphan'), 'precious')
  for (const pattern of ['', '[', 'a\0b'.slice(0, 1) + '[z-a]', '../up', 'a/../b']) {
    const { exitCode, stderr } = await lab(source, target, '--exclude', pattern)
    t.equal(exitCode, 2, `pattern "${pattern}": ${stderr}`)
    t.ok(stderr.length > 20)
  }
  t.same(readdirSync(target), ['orphan'], 'nothing was copied')
  for (const folder of [join(target, 'orphans'), target, join(source, 'orphans')]) {
    await refused(t, [source, target, '--orphans', 'move', '--orphans-folder', folder], 'ORPHANS_FOLDER_INVALID')
    t.equal(readFileSync(join(target, 'orphan'), 'utf8'), 'precious', 'the orphan stays')
    t.notOk(existsSync(join(folder, 'orphans')), 'no folder is made')
  }
})

void t.test('a target without space: what arrived stays, and with space the mirror goes on to the end', { skip: MOUNT_SKIP }, async t => {
  const source = makeSource(t)
  for (let i = 0; i < 24; i++) writeFileSync(join(source, `big-${String(i)}`), Buffer.alloc(1 << 20, i + 1))
  using volume = mountLoop('ext4', 64)
  execFileSync('fallocate', ['-l', '30M', join(volume.path, 'ballast')])
  await refused(t, [source, volume.path], 'REPLICA_FULL')
  t.equal(lstatSync(join(volume.path, 'ballast')).size, 30 << 20, 'what was there is there')
  rmSync(join(volume.path, 'ballast'))
  await mirrored(t, source, volume.path, '--compare', 'attributes')
  await assertEqual(t, source, volume.path)
})

void t.test('a target that is read-only is left as it is', { skip: MOUNT_SKIP }, async t => {
  const source = makeSource(t)
  using volume = mountLoop('xfs', 300)
  writeFileSync(join(volume.path, 'there'), 'x')
  volume.remount('ro')
  await refused(t, [source, volume.path], 'REPLICA_READ_ONLY')
  await refused(t, [source, volume.path, '--volume-id', 'job/0'], 'REPLICA_ROOT_FOREIGN')
  await refused(t, [source, volume.path, '--volume-id', 'job/0', '--mark'], 'REPLICA_ROOT_FOREIGN')
  rmSync(join(source, 'd'), { recursive: true })
  t.same(readdirSync(volume.path), ['there'])
  volume.remount('rw')
})

void t.test('a path that is too long is a finding, and the rest is copied', async t => {
  const base = mkdtempSync(join(tmpdir(), 'landfall-long-'))
  t.teardown(() => { execFileSync('rm', ['-rf', base]) })
  const [source, target] = [join(base, 'source'), join(base, 'target')]
  mkdirSync(join(source, 'd'), { recursive: true })
  writeFileSync(join(source, 'd', 'f'), 'content')
  // deeper than a path can name: each level is made from within the one before
  execFileSync('python3', ['-c', `
import os, sys
os.chdir(sys.argv[1])
for level in range(20):
    os.mkdir('n' * 250); os.chdir('n' * 250)
open('deepest', 'w').write('x')`, source])
  const { findings } = await mirrored(t, source, target)
  t.equal(findings.length, 1, JSON.stringify(findings.map(f => f.code)))
  t.match(findings[0]?.message ?? '', /too long|4094|longer/)
  t.ok((findings[0]?.advice.length ?? 0) > 10, 'it says what to do')
  t.equal(readFileSync(join(target, 'd', 'f'), 'utf8'), 'content')
})

void t.test('a target that knows no extended attributes gets all it can hold, and a finding for what it cannot', { skip: MOUNT_SKIP }, async t => {
  const source = makeSource(t)
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'x', join(source, 'd', 'f')])
  const target = `${source}-ramfs`
  mkdirSync(target)
  execFileSync('mount', ['-t', 'ramfs', 'ramfs', target])
  using stack = new DisposableStack()
  stack.defer(() => { execFileSync('umount', [target]) })
  const { findings } = await mirrored(t, source, target)
  t.same(findings.map(f => f.subject), ['d/f'])
  t.match(findings[0]?.message, /user\.note/)
  t.ok((findings[0]?.advice.length ?? 0) > 10)
  t.equal(readFileSync(join(target, 'd', 'f'), 'utf8'), 'content')
  t.equal(lstatSync(join(target, 'd', 'f')).mtimeMs, lstatSync(join(source, 'd', 'f')).mtimeMs)
  await refused(t, [source, target, '--volume-id', 'job/0'], 'REPLICA_ROOT_FOREIGN')
})
