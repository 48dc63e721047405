/** What the options of `lab -- mirror` about rules and orphans do, from the command line to the files and the JSON. The rules themselves: system/mirror/rules.test.ts. */
import t, { type Test } from 'tap'
import { execa } from 'execa'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { NODE, PROJECT } from '../../lab/paths.ts'
import { MOUNT_SKIP } from '../../zoo/loop-file-system.ts'

const MAIN = join(PROJECT, 'test/lab/main.ts')
const Mirrored = z.object({ findings: z.array(z.object({ code: z.string() })), orphans: z.looseObject({ list: z.array(z.object({ path: z.string(), fate: z.string() })) }) })
const Line = z.looseObject({ record: z.string() })

const mirror = async (...args: string[]) => await execa(NODE, [MAIN, 'mirror', ...args, '--json'], { reject: false, stdin: 'ignore', timeout: 120_000 })

async function directories(t: Test): Promise<{ base: string, source: string, target: string }> {
  const base = await mkdtemp(join(tmpdir(), 'landfall-rule-options-'))
  t.teardown(async () => { await rm(base, { recursive: true, force: true }) })
  const [source, target] = [join(base, 'source'), join(base, 'target')]
  await mkdir(source)
  await mkdir(target)
  return { base, source, target }
}

/** Makes files, with their path as content, and the directories above them. */
async function fill(root: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), path)
  }
}

/** All files below, in order; directories do not count. */
async function files(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries.filter(one => !one.isDirectory()).map(one => join(one.parentPath, one.name).slice(root.length + 1)).sort()
}

/** Mirrors, and gives "path fate" of every orphan that was told. */
async function fates(t: Test, ...args: string[]): Promise<string[]> {
  const ran = await mirror(...args)
  t.equal(ran.exitCode, 0, ran.stderr)
  return Mirrored.parse(JSON.parse(ran.stdout)).orphans.list.map(({ path, fate }) => `${path} ${fate}`).sort()
}

t.test('a preview of orphans older than a period tells what then becomes of them, and changes nothing', { skip: MOUNT_SKIP }, async t => {
  const { source, target } = await directories(t)
  await fill(source, 'new')
  const before = ['gone/old', 'mine.tmp', 'mixed/old', 'mixed/young', 'old', 'young']
  await fill(target, ...before)
  const longAgo = new Date(Date.now() - 10 * 86_400_000)
  for (const path of ['gone/old', 'mine.tmp', 'mixed/old', 'old']) await utimes(join(target, path), longAgo, longAgo)
  const args = [source, target, '--exclude', '*.tmp', '--orphans', 'delete', '--orphans-older-than', '7d']
  const expected = ['gone removed', 'gone/old removed', 'mine.tmp outside', 'mixed kept', 'mixed/old removed', 'mixed/young kept', 'old removed', 'young kept']
  t.same(await fates(t, ...args, '--orphans-preview'), expected)
  t.same(await files(target), before)
  t.same(await fates(t, ...args), expected)
  t.same(await files(target), ['mine.tmp', 'mixed/young', 'new', 'young'])
})

t.test('includes and excludes, recursive and flat, bring what they name; with a wildcard the rest is orphans; what lies outside goes when that is asked', { skip: MOUNT_SKIP }, async t => {
  const { source, target } = await directories(t)
  await fill(source, 'flat/own', 'flat/sub/deep', 'tree/a', 'tree/b.tmp', 'tree/quiet/own', 'tree/quiet/sub/deep', 'tree/sub/x.txt', 'else/y.txt')
  await fill(target, 'tree/orphan', 'other/sent-before', 'tree/mine.tmp')
  const rules = ['--include-flat', '/flat', '--include', '/tree', '--exclude', '*.tmp', '--exclude-flat', '/tree/quiet']
  t.same(await fates(t, source, target, ...rules, '--orphans', 'delete'), ['other outside', 'other/sent-before outside', 'tree/mine.tmp outside', 'tree/orphan removed'])
  t.same(await files(target), ['flat/own', 'other/sent-before', 'tree/a', 'tree/mine.tmp', 'tree/quiet/sub/deep', 'tree/sub/x.txt'])
  t.same(await fates(t, source, target, ...rules, '--remove-outside'), ['other removed', 'other/sent-before removed', 'tree/mine.tmp removed'])
  t.same(await files(target), ['flat/own', 'tree/a', 'tree/quiet/sub/deep', 'tree/sub/x.txt'])
  // directories of the source in which something could match stay
  t.same(await fates(t, source, target, '--include', '*.txt', '--orphans', 'delete', '--compare', 'attributes'), ['flat/own removed', 'tree/a removed', 'tree/quiet/sub/deep removed'])
  t.same(await files(target), ['else/y.txt', 'tree/sub/x.txt'])
})

t.test('to a verification excluded names are neither differences nor orphans', { skip: MOUNT_SKIP }, async t => {
  const { base, source, target } = await directories(t)
  const report = join(base, 'report')
  await fill(source, 'd/a', 'd/theirs.tmp', 'cache/x')
  t.same(await fates(t, source, target, '--exclude', '*.tmp', '--exclude', '/cache'), [])
  await writeFile(join(source, 'd/both.tmp'), 'of the source')
  // what is excluded appears without a trace in the times of the directories that belong to the replica
  const dayAgo = new Date(Date.now() - 86_400_000)
  await fill(target, 'd/mine.tmp', 'd/both.tmp', 'cache/y')
  for (const root of [source, target]) for (const path of ['d', '']) await utimes(join(root, path), dayAgo, dayAgo)
  const verify = async (...rules: string[]): Promise<{ exitCode: number | undefined, differing: unknown[] }> => {
    const { exitCode } = await mirror(source, target, '--verify', 'data', '--report', report, ...rules)
    const lines = (await readFile(report, 'utf8')).trimEnd().split('\n').map(line => Line.parse(JSON.parse(line)))
    return { exitCode, differing: lines.filter(line => line.record === 'difference').map(line => line['path']).sort() }
  }
  t.same(await verify('--exclude', '*.tmp', '--exclude', '/cache'), { exitCode: 0, differing: [] })
  t.same(await verify('--exclude', '/cache'), { exitCode: 7, differing: ['d/both.tmp', 'd/mine.tmp', 'd/theirs.tmp'] })
})
