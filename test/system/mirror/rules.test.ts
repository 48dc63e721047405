import t, { type Test } from 'tap'
import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../src/clock/clock.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import type { Orphan } from '../../../src/domain/orphan.ts'
import type { MirrorProgress } from '../../../src/domain/progress.ts'
import { checkRules, type Rule } from '../../../src/domain/rule.ts'
import { mirrorVolumes } from '../../../src/mirror/mirrorer.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import { ruledSourceTree } from '../../../src/tree/ruled-source-tree.ts'
import { compileRules } from '../../../src/tree/volume-rules.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { differences } from '../../oracle.ts'
import { TreeStream } from '../../tree-stream.ts'

const exclude = (...patterns: string[]): Rule[] => patterns.map(pattern => ({ kind: 'exclude', pattern, recursive: true }))
const include = (...patterns: string[]): Rule[] => patterns.map(pattern => ({ kind: 'include', pattern, recursive: true }))

interface Pair {
  base: string, source: string, replica: string
  mirror: (rules: Rule[], request?: Partial<MirrorRequest>) => Promise<MirrorProgress & { findings_: Finding[], told: Orphan[] }>
}

async function pair(t: Test): Promise<Pair> {
  const base = await mkdtemp(join(tmpdir(), 'landfall-rules-'))
  t.teardown(async () => { await rm(base, { recursive: true, force: true }) })
  const [source, replica] = [join(base, 'source'), join(base, 'replica')]
  await mkdir(source)
  await mkdir(replica)
  return {
    base, source, replica,
    mirror: async (rules, request = {}) => {
      checkRules(rules)
      const signal = AbortSignal.timeout(60_000)
      const compiled = compileRules(rules)
      await using from = ruledSourceTree(await openPosixSourceTree(source, signal), compiled)
      await using to = await openPosixTargetTree(replica, signal)
      const findings: Finding[] = []
      const told: Orphan[] = []
      const progress = await mirrorVolumes({
        volumes: new Map([[0, from]]), rules: new Map([[0, compiled]]), stream: new TreeStream(new Map([[0, to]])), request: { compare: 'attributes', orphans: 'delete', ...request },
        report: (_, more) => { findings.push(...more) }, reportOrphans: async more => { told.push(...more) }, clock: systemClock,
      }, signal)
      return { ...progress, findings_: findings, told }
    },
  }
}

/** Makes files, with their path as content, and the directories above them; a path that ends in a slash is an empty directory. */
async function fill(root: string, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(root, path.endsWith('/') ? path : join(path, '..')), { recursive: true })
    if (!path.endsWith('/')) await writeFile(join(root, path), path)
  }
}

/** All paths below, in order. */
async function all(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true, withFileTypes: true })).map(one => join(one.parentPath, one.name).slice(root.length + 1)).sort()
}

t.test('excluded names are not sent, and everything else is equal', async t => {
  const { base, source, replica, mirror } = await pair(t)
  const inside = ['a/x', 'a/b/c/d/y', 'f', 'empty/', 'a/n\nl']
  await fill(source, ...inside, 'a/x.tmp', 'a/b/cache/deep/z', 'cache/q', 'f.tmp')
  const { findings_, orphans } = await mirror(exclude('*.tmp', 'cache/'))
  t.same(findings_, [])
  t.equal(orphans, undefined)
  const expected = join(base, 'expected')
  await mkdir(expected)
  await fill(expected, ...inside)
  t.same(await all(replica), await all(expected))
  for (const path of ['a', 'a/b', 'empty']) t.same((await stat(join(replica, path))).mtimeMs, (await stat(join(source, path))).mtimeMs)
})

t.test('with no rule that touches anything the replica is equal', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'a/x', 'a/b/y', 'f')
  await link(join(source, 'f'), join(source, 'a/f2'))
  await mirror(exclude('*.never', '/nowhere'))
  t.same(await differences(source, replica), [])
})

t.test('what is excluded stays on the replica as it is, also below orphans and below what is replaced', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'a/x', 'a/keep.tmp', 'file', 'dir/')
  await fill(replica, 'a/mine.tmp', 'a/gone', 'orphan/deep/mine.tmp', 'orphan/deep/o', 'orphan/o', 'file/mine.tmp', 'file/other', 'dir/mine.tmp', 'plain/o')
  const before = (await stat(join(replica, 'a/mine.tmp'))).ctimeMs
  const { findings_, orphans, told } = await mirror(exclude('*.tmp'))
  t.same(await all(replica), ['a', 'a/mine.tmp', 'a/x', 'dir', 'dir/mine.tmp', 'file', 'file/mine.tmp', 'orphan', 'orphan/deep', 'orphan/deep/mine.tmp'])
  t.equal((await stat(join(replica, 'a/mine.tmp'))).ctimeMs, before)
  t.same(findings_.map(f => f.code).sort(), ['EXCLUDED_IN_THE_WAY', 'OUTSIDE_RULES'])
  t.match(orphans, { outside: 4, removed: 6, kept: 2 })
  t.same(told.filter(o => o.fate === 'outside').map(o => o.path).sort(), ['a/mine.tmp', 'dir/mine.tmp', 'file/mine.tmp', 'orphan/deep/mine.tmp'])
})

t.test('with an include wildcard what no include matches is an orphan, and an excluded name is not', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'd/a.txt', 'd/b.log', 'c.txt', 'x.bak.txt')
  await fill(replica, 'd/b.log', 'd/c.log', 'd/old.txt', 'm.bak.txt', 'e/f')
  const { told } = await mirror([...include('*.txt'), ...exclude('*.bak.txt')])
  t.same(await all(replica), ['c.txt', 'd', 'd/a.txt', 'm.bak.txt'])
  t.same(told.filter(o => o.fate === 'removed').map(o => o.path).sort(), ['d/b.log', 'd/c.log', 'd/old.txt', 'e', 'e/f'])
})

t.test('with plain includes what lies elsewhere is left alone, and goes when that is asked', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'srv/db/x', 'srv/log/y', 'etc/z')
  await fill(replica, 'srv/db/old', 'srv/log/sent-before', 'other/o')
  const first = await mirror(include('/srv/db'))
  t.same(await all(replica), ['other', 'other/o', 'srv', 'srv/db', 'srv/db/x', 'srv/log', 'srv/log/sent-before'])
  t.match(first.orphans, { removed: 1, outside: 4 })
  const second = await mirror(include('/srv/db'), { removeOutside: true, orphans: 'keep' })
  t.same(await all(replica), ['srv', 'srv/db', 'srv/db/x'])
  t.match(second.orphans, { removed: 4, outside: 0 })
})

t.test('hard links across the edge: only the inside names exist, linked to each other', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'in/a', 'out/')
  await link(join(source, 'in/a'), join(source, 'in/b'))
  await link(join(source, 'in/a'), join(source, 'out/c'))
  await link(join(source, 'in/a'), join(source, 'c.tmp'))
  await mirror(exclude('/out', '*.tmp'))
  t.same(await all(replica), ['in', 'in/a', 'in/b'])
  const [a, b] = [await stat(join(replica, 'in/a')), await stat(join(replica, 'in/b'))]
  t.equal(a.ino, b.ino)
  t.equal(a.nlink, 2)
})

t.test('what an earlier mirror linked to a name that is excluded now is not written through the other name', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'a', 'd/x')
  await link(join(source, 'a'), join(source, 'b.tmp'))
  await link(join(source, 'd/x'), join(source, 'd/x.tmp'))
  await mirror([])
  await writeFile(join(source, 'a'), 'changed')
  await mirror(exclude('*.tmp'))
  t.equal(await readFile(join(replica, 'a'), 'utf8'), 'changed')
  t.equal(await readFile(join(replica, 'b.tmp'), 'utf8'), 'a')
  t.not((await stat(join(replica, 'd/x'))).ino, (await stat(join(replica, 'd/x.tmp'))).ino, 'not even what did not change stays shared')
})

t.test('only orphans that are older than the period go; a directory goes with all that is in it', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(replica, 'old', 'young', 'mixed/old', 'mixed/young', 'gone/a/b', 'empty-old/', 'empty-young/')
  const longAgo = new Date(Date.now() - 10 * 86_400_000)
  for (const path of ['old', 'mixed/old', 'gone/a/b', 'empty-old']) await utimes(join(replica, path), longAgo, longAgo)
  await mirror([], { orphansOlderThanMs: 7 * 86_400_000 })
  t.same(await all(replica), ['empty-young', 'mixed', 'mixed/young', 'young'])
  await mirror([], { orphansOlderThanMs: 0 })
  t.same(await all(replica), [])
  t.same(await all(source), [])
})

t.test('a preview changes nothing and tells what would become of every orphan', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'new', 'd/x', 'was-directory')
  await fill(replica, 'd/old', 'o/p/q', 'k.tmp', 'was-directory/a', 'lost+found/1')
  const before = await all(replica)
  const found = async (request: Partial<MirrorRequest>): Promise<string[]> => (await mirror(exclude('*.tmp'), { ...request, orphansPreview: true })).told.map(o => `${o.path} ${o.fate}`).sort()
  t.same(await found({ orphans: 'delete' }), ['d/old removed', 'k.tmp outside', 'o removed', 'o/p removed', 'o/p/q removed', 'was-directory/a removed'])
  t.same(await found({ orphans: 'keep' }), ['d/old kept', 'k.tmp outside', 'o kept', 'o/p kept', 'o/p/q kept', 'was-directory/a removed'])
  t.same(await found({ orphans: 'move' }), ['d/old moved', 'k.tmp outside', 'o moved', 'o/p moved', 'o/p/q moved', 'was-directory/a moved'])
  t.same(await all(replica), before)
})

t.test('after a change of the rules the next mirror brings what is inside now', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source, 'a/x.tmp', 'a/y', 'b/z')
  await mirror(exclude('*.tmp'))
  await rename(join(source, 'b/z'), join(source, 'b/z.tmp'))
  await mirror(exclude('*.tmp'))
  t.same(await all(replica), ['a', 'a/y', 'b'])
  await mirror([])
  t.same(await differences(source, replica), [])
})

t.test('more orphans than one report carries are all told', async t => {
  const { replica, mirror } = await pair(t)
  const count = 3000
  await mkdir(join(replica, 'many'))
  for (let i = 0; i < count; i++) await writeFile(join(replica, 'many', `orphan-${String(i)}`), '')
  const { told, orphans } = await mirror([])
  t.equal(told.length, count + 1)
  t.match(orphans, { found: count + 1, removed: count + 1 })
  t.same(await all(replica), [])
})
