import t, { type Test } from 'tap'
import { execa } from 'execa'
import { appendFile, chmod, link, lutimes, mkdir, mkdtemp, open, readdir, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../src/clock/clock.ts'
import type { MirrorProgress } from '../../../src/domain/progress.ts'
import { mirrorVolumes } from '../../../src/mirror/mirrorer.ts'
import { openPosixSourceTree } from '../../../src/tree/posix-source-tree.ts'
import { openPosixTargetTree } from '../../../src/tree/posix-target-tree.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { differences } from '../../oracle.ts'
import { TreeStream } from '../../tree-stream.ts'
import { inShort, mirrorBetween, type MirrorOutcome } from '../../zoo/mirror-between.ts'

interface Pair { source: string, replica: string, mirror: (request: Partial<MirrorRequest>) => Promise<MirrorOutcome> }

async function pair(t: Test): Promise<Pair> {
  const base = await mkdtemp(join(tmpdir(), 'landfall-mirror-'))
  t.teardown(async () => { await rm(base, { recursive: true, force: true }) })
  const source = join(base, 'source')
  const replica = join(base, 'replica')
  await mkdir(source)
  await mkdir(replica)
  return {
    source, replica,
    mirror: async request => await mirrorBetween(source, replica, request),
  }
}

/** A few of everything that a directory can hold, in three levels. */
async function fill(root: string): Promise<void> {
  for (const directory of ['a', 'a/b', 'a/b/c', 'empty']) await mkdir(join(root, directory))
  for (const path of ['one', 'a/two', 'a/b/three', 'a/b/c/four']) await writeFile(join(root, path), randomBytes(5000))
  await writeFile(join(root, 'zero'), '')
  await writeFile(join(root, 'large'), randomBytes(3 << 20))
  await link(join(root, 'one'), join(root, 'a/b/one-too'))
  await link(join(root, 'one'), join(root, 'a/b/c/one-three'))
  await symlink('nowhere/at all', join(root, 'a/dangling'))
  await lutimes(join(root, 'a/dangling'), 1, 1)
  await chmod(join(root, 'a/two'), 0o6751)
  await utimes(join(root, 'a/b'), 1, 2)
  const sparse = await open(join(root, 'sparse'), 'w')
  await sparse.truncate(50 << 20)
  await sparse.write(randomBytes(8192), 0, 8192, 20 << 20)
  await sparse.close()
}

t.test('a first mirror makes an equal replica, and a second one sends nothing', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source)
  const first = await mirror({ compare: 'none' })
  t.same(await differences(source, replica), [])
  t.same(first.all, [])
  t.equal(first.filesFound, first.filesDone)
  const second = await mirror({ compare: 'attributes' })
  t.equal(second.filesSkipped, second.filesFound)
  t.ok(second.bytesSent < 1000, `sent ${String(second.bytesSent)} bytes`)
  t.same(await differences(source, replica), [])
})

for (const compare of ['none', 'attributes', 'data'] as const) {
  t.test(`comparing ${compare} makes a changed source equal again`, async t => {
    const { source, replica, mirror } = await pair(t)
    await fill(source)
    await mirror({ compare: 'none' })
    await rename(join(source, 'a/b'), join(source, 'b'))
    await rm(join(source, 'b/c/four'))
    await mkdir(join(source, 'b/c/four'))
    await writeFile(join(source, 'b/c/four/inside'), 'new')
    await rm(join(source, 'empty'), { recursive: true })
    await symlink('a', join(source, 'empty'))
    await rm(join(source, 'zero'))
    await mkdir(join(source, 'zero'))
    await appendFile(join(source, 'a/two'), 'more')
    await truncate(join(source, 'large'), 1 << 20)
    await mirror({ compare })
    t.same(await differences(source, replica), [])
  })
}

t.test('hard links are joined, parted and regrouped as on the source', async t => {
  const { source, replica, mirror } = await pair(t)
  for (const name of ['a', 'b', 'c', 'd']) await writeFile(join(source, name), 'same')
  await link(join(source, 'a'), join(source, 'a2'))
  await link(join(source, 'b'), join(source, 'b2'))
  for (const name of ['a', 'b', 'c', 'd']) await utimes(join(source, name), 5, 5)
  await mirror({ compare: 'none' })
  t.same(await differences(source, replica), [])
  // a2 now belongs to b, b2 stands alone with the same attributes, c and d become one
  await rm(join(source, 'a2'))
  await link(join(source, 'b'), join(source, 'a2'))
  await rm(join(source, 'b2'))
  await writeFile(join(source, 'b2'), 'same')
  await utimes(join(source, 'b2'), 5, 5)
  await rm(join(source, 'd'))
  await link(join(source, 'c'), join(source, 'd'))
  await mirror({ compare: 'attributes' })
  t.same(await differences(source, replica), [])
})

t.test('what only the replica has is kept or deleted as asked, and lost+found is left alone', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source)
  await mirror({ compare: 'none' })
  await mkdir(join(replica, 'lost+found'))
  await mkdir(join(replica, 'a/orphan/deep'), { recursive: true })
  await writeFile(join(replica, 'a/orphan/deep/file'), 'x')
  await mirror({ orphans: 'keep' })
  t.ok((await stat(join(replica, 'a/orphan/deep/file'))).isFile())
  await mirror({ orphans: 'delete' })
  await t.rejects(stat(join(replica, 'a/orphan')), { code: 'ENOENT' })
  t.ok((await stat(join(replica, 'lost+found'))).isDirectory())
  t.same(await differences(source, replica), [])
})

t.test('metadata that differs is healed without sending data', async t => {
  const { source, replica, mirror } = await pair(t)
  await fill(source)
  await mirror({ compare: 'none' })
  await chmod(join(replica, 'large'), 0o400)
  await utimes(join(replica, 'large'), await stat(join(source, 'large')).then(s => s.atime), (await stat(join(source, 'large'))).mtime)
  await utimes(join(source, 'a'), 9, 9)
  const healed = await mirror({ compare: 'data' })
  t.ok(healed.bytesSent < 5000, `sent ${String(healed.bytesSent)} bytes`)
  t.same(await differences(source, replica), [])
})

t.test('data that differs under equal attributes is found by comparing data only, and only its blocks are sent', async t => {
  const { source, replica, mirror } = await pair(t)
  await writeFile(join(source, 'large'), randomBytes(32 << 20))
  await mirror({ compare: 'none' })
  const times = await stat(join(source, 'large'), { bigint: true })
  const file = await open(join(replica, 'large'), 'r+')
  for (let block = 100; block < 140; block += 2) await file.write(randomBytes(4096), 0, 4096, block * 4096)
  await file.close()
  await utimes(join(replica, 'large'), times.atime, times.mtime)
  await execa('touch', ['-r', join(source, 'large'), join(replica, 'large')])
  const blind = await mirror({ compare: 'attributes' })
  t.equal(blind.filesSkipped, 1)
  t.not((await differences(source, replica)).length, 0)
  const seeing = await mirror({ compare: 'data' })
  t.ok(seeing.bytesSent < 150_000, `sent ${String(seeing.bytesSent)} bytes for 80 KiB that differ`)
  t.same(await differences(source, replica), [])
})

t.test('a large file counts while it is sent and while it is compared, and all is complete at the end', async t => {
  const { source, replica } = await pair(t)
  const sizeBytes = 24 << 20
  await writeFile(join(source, 'large'), randomBytes(sizeBytes))
  const signal = AbortSignal.timeout(60_000)
  let nowMs = 0
  for (const compare of ['none', 'data'] as const) {
    await using from = await openPosixSourceTree(source, signal)
    await using to = await openPosixTargetTree(replica, signal)
    const told: MirrorProgress[] = []
    const last = await mirrorVolumes({
      volumes: new Map([[0, from]]), stream: new TreeStream(new Map([[0, to]])), request: { compare, orphans: 'keep' },
      report: progress => { told.push(progress) }, clock: { ...systemClock, now: () => (nowMs += 1000) },
    }, signal)
    const counted = told.filter(p => p.filesDone + p.filesSkipped === 0).map(p => (compare === 'none' ? p.bytesDone : p.bytesSkipped))
    t.ok(new Set(counted.filter(bytes => bytes > 0 && bytes < sizeBytes)).size >= 2, `${compare}: ${counted.join(' ')}`)
    t.match(last, { complete: true, walked: true, filesFound: 1, bytesFound: sizeBytes, [compare === 'none' ? 'bytesDone' : 'bytesSkipped']: sizeBytes })
    t.ok(told.slice(0, -1).every(p => !p.complete))
  }
})

t.test('a hole that the source has becomes one on the replica', async t => {
  const { source, replica, mirror } = await pair(t)
  await writeFile(join(source, 'file'), randomBytes(8 << 20))
  await mirror({ compare: 'none' })
  await execa('fallocate', ['--punch-hole', '--offset', String(1 << 20), '--length', String(5 << 20), join(source, 'file')])
  await mirror({ compare: 'attributes' })
  t.same(await differences(source, replica), [])
})

t.test('a directory with many entries is paged on both sides', async t => {
  const { source, replica, mirror } = await pair(t)
  await mkdir(join(source, 'many'))
  for (let i = 0; i < 20_000; i++) await symlink(`target of ${String(i)}`, join(source, 'many', `name-${String(i).padStart(6, '0')}-${'x'.repeat(80)}`))
  await mirror({ compare: 'none' })
  await rm(join(replica, 'many', `name-013579-${'x'.repeat(80)}`))
  const again = await mirror({ compare: 'attributes' })
  t.equal(again.filesDone, 2, 'the lost link, and its directory for the times')
  t.same(await differences(source, replica), [])
})

t.test('the name that is ours in the root of a source is told and not copied; below the root it is as any other', async t => {
  const { source, replica, mirror } = await pair(t)
  await mkdir(join(source, 'd/.landfall-limbo'), { recursive: true })
  await writeFile(join(source, 'd/.landfall-limbo/file'), 'copied')
  t.same((await mirror({})).all, [])
  await mkdir(join(source, '.landfall-limbo'))
  await writeFile(join(source, '.landfall-limbo/file'), 'not copied')
  for (const compare of ['none', 'attributes'] as const) t.same(inShort((await mirror({ compare })).all), ['FILE_UNSUPPORTED .landfall-limbo'])
  t.same(await readdir(replica), ['d'])
  await rm(join(source, '.landfall-limbo'), { recursive: true })
  t.same((await mirror({})).all, [])
  t.same(await differences(source, replica), [])
})
