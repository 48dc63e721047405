import t from 'tap'
import type { MirrorProgress } from '../../../src/domain/progress.ts'
import type { RelPath } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { ListingPage } from '../../../src/wire/listing-codec.ts'
import type { OperationBatch } from '../../../src/wire/operation-codec.ts'
import { at, change, contentOf, converse, directory, EVERYTHING, file, filled, nothing, ROOTS, soon, targetsOf, TestSource } from './conversation.ts'

t.test('the workload is described over the link', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  t.match(await talk.server.describe(soon()), { hostName: 'source' })
  t.match(talk.server, { sourceId: 'source-1', agentVersion: '1.2.3', captureEpoch: '', capturingJobId: '' })
})

t.test('a mirror makes the replica equal, removes orphans, reports, and leaves the connection usable', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  const target = new MemoryTree()
  await change(target, file('orphan', 'x'), directory('etc'), file('etc/000', 'old and longer than it was'))
  t.same(await talk.server.prepare('job-1', ROOTS, [], soon()), { captureEpoch: 'epoch-1' })
  const reports: MirrorProgress[] = []
  const report = await talk.server.mirror(EVERYTHING, targetsOf(target), progress => { reports.push(progress) }, soon())
  t.same(await contentOf(target), await contentOf(source.tree))
  t.match(report.progress, { walked: true, filesDone: Number })
  t.ok(reports.length > 0)
  const again = await talk.server.mirror({ compare: 'attributes', orphans: 'delete' }, targetsOf(target), nothing, soon())
  t.ok(again.progress.filesSkipped >= 40, 'a second mirror over the same connection skips what is equal')
  t.match(await talk.server.describe(soon()), { hostName: 'source' })
})

/** Its listings take long, so that a mirror has pauses; counts flushes. */
class PausingTree extends MemoryTree {
  flushes = 0
  override async* list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> {
    await new Promise(resolve => { setTimeout(resolve, 60) })
    yield* super.list(directory, signal)
  }

  override async flush(): Promise<void> { this.flushes++ }
}

t.test('a mirror is flushed at its end, not at each of its pauses', async t => {
  const directories = ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/b/c/d/e']
  await using source = new TestSource()
  const target = new PausingTree()
  for (const path of directories) {
    await change(source.tree, directory(path), file(`${path}/file`, path))
    await change(target, directory(path))
  }
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), await contentOf(source.tree))
  t.ok(target.flushes >= 1 && target.flushes <= 2, `${String(target.flushes)} flushes`)
})

t.test('replication brings changes until its signal aborts, and goes on later', async t => {
  await using source = await filled(3)
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  for (const name of ['first', 'second']) {
    const stop = new AbortController()
    const replicating = talk.server.replicate(targetsOf(target), nothing, stop.signal)
    await change(source.tree, file(name, name))
    source.changes.mark({ kind: 'entry', volume: 1, path: at(name), atMs: Date.now() })
    for (const deadline = Date.now() + 5000; (await contentOf(target))[name] === undefined && Date.now() < deadline;) await new Promise(resolve => { setTimeout(resolve, 20) })
    stop.abort()
    await replicating
    t.equal((await contentOf(target))[name], name)
  }
})

t.test('deletes are ignored on request: names that vanish stay, and what gets such a name again replaces it', async t => {
  await using source = await filled(3)
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.transmit({ compression: 'off', ignoreDeletes: true }, soon())
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await change(source.tree, file('doomed', 'old'), directory('gone'), file('gone/inside', 'inside'))
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  const before = await contentOf(target)
  for (const path of ['doomed', 'gone/inside', 'gone']) await change(source.tree, { kind: 'remove', path: at(path) })
  const mark = (path: string): void => { source.changes.mark({ kind: 'entry', volume: 1, path: at(path), atMs: Date.now() }) }
  for (const path of ['doomed', 'gone/inside', 'gone']) mark(path)
  await talk.server.drain({ freeze: false, holdMs: 1000 }, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), before)
  await change(source.tree, file('doomed', 'new'), file('gone', 'a file now'))
  for (const path of ['doomed', 'gone']) mark(path)
  await talk.server.drain({ freeze: false, holdMs: 1000 }, targetsOf(target), nothing, soon())
  t.match(await contentOf(target), { doomed: 'new', gone: 'a file now' })
  await talk.server.transmit({ compression: 'off' }, soon())
  await change(source.tree, { kind: 'remove', path: at('doomed') })
  mark('doomed')
  await talk.server.drain({ freeze: false, holdMs: 1000 }, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), await contentOf(source.tree), 'from then on they vanish, too')
})

t.test('the queue of a source can be asked for, and a barrier is passed when what was before it is durable', async t => {
  await using source = await filled(1)
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  t.same(await talk.server.queue(soon()), { queued: 0, oldestMs: 0 })
  await change(source.tree, file('late', 'late'))
  source.changes.mark({ kind: 'entry', volume: 1, path: at('late'), atMs: Date.now() - 5000 })
  const { queued, oldestMs } = await talk.server.queue(soon())
  t.equal(queued, 1)
  t.ok(oldestMs >= 5000)
  const passed = talk.server.whenReplicated(soon())
  const stop = new AbortController()
  const replicating = talk.server.replicate(targetsOf(target), nothing, stop.signal)
  await passed
  t.equal((await contentOf(target))['late'], 'late')
  stop.abort()
  await replicating
  const given = new AbortController()
  const waiting = talk.server.whenReplicated(given.signal)
  given.abort()
  await t.rejects(waiting, { name: 'AbortError' }, 'while nothing is replicated it is not passed')
})

t.test('a drain freezes the source after its last changes, hold keeps it, thaw ends it', async t => {
  await using source = await filled(3)
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  await change(source.tree, file('late', 'late'))
  source.changes.mark({ kind: 'entry', volume: 1, path: at('late'), atMs: Date.now() })
  const report = await talk.server.drain({ freeze: true, holdMs: 30_000 }, targetsOf(target), nothing, soon())
  t.match(report, { frozenAtMs: 1234 })
  t.same(await contentOf(target), await contentOf(source.tree))
  t.equal(await talk.server.hold(soon()), true)
  await talk.server.thaw(soon())
  t.equal(source.freezes[0]?.state, 'thawed')
  t.equal(await talk.server.hold(soon()), false)
})

t.test('a drain without freezing freezes nothing', async t => {
  await using source = await filled(1)
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  t.match(await talk.server.drain({ freeze: false, holdMs: 1000 }, targetsOf(new MemoryTree()), nothing, soon()), { frozenAtMs: undefined })
  t.equal(source.freezes.length, 0)
})

t.test('what fails on the source arrives with its code', async t => {
  await using source = new TestSource({ openTree: async () => { throw new AppError('SOURCE_MISSING', '/gone is not there') } })
  await using talk = await converse(source)
  await t.rejects(talk.server.prepare('job-1', ROOTS, [], soon()), { code: 'SOURCE_MISSING', message: '/gone is not there' })
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(new MemoryTree()), nothing, soon()), { code: 'REQUEST_INVALID' }, 'nothing is mirrored that was not prepared')
})

t.test('a defect of the agent arrives as INTERNAL and tells nothing of its inside', async t => {
  await using source = await filled(1)
  await using talk = await converse(source, { describe: async () => { throw new TypeError('secret inside') } })
  await t.rejects(talk.server.describe(soon()), { code: 'INTERNAL', message: /^the agent failed at "describe"/ })
})

t.test('two mirrors at once are refused, the first goes on', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  const target = new MemoryTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  const first = talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon()), { code: 'REQUEST_INVALID' })
  await first
})

t.test('another job, or other volumes, begin the capture anew; release leaves nothing', async t => {
  let opened = 0
  await using source = new TestSource({ openTree: async () => { opened++; return new MemoryTree() } })
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.prepare('job-1', ROOTS, [], soon())
  t.equal(opened, 1)
  await talk.server.prepare('job-2', ROOTS, [], soon())
  await talk.server.prepare('job-2', [{ index: 1, path: '/srv' }], [], soon())
  t.equal(opened, 3)
  await talk.server.release(soon())
  t.equal(source.capture.epoch, '')
  t.equal(talk.server.captureEpoch, '')
})

t.test('switching off is answered before it happens', async t => {
  await using source = await filled(1)
  await using talk = await converse(source)
  await talk.server.powerOff(soon())
  await talk.server.describe(soon())
  t.equal(source.poweredOff, 1)
})

t.test('a hostile source is cut off: operations nobody asked for, a gap, another volume, too many questions', async t => {
  await using source = await filled(1)
  const batch = Buffer.from([]) as OperationBatch
  for (const [title, send] of Object.entries({
    'operations without a request': { type: 'operations', volume: 1, sequence: 1, batch },
    'a gap': { type: 'operations', volume: 1, sequence: 2, batch },
    'a list without a request': { type: 'list', volume: 1, request: 1, directories: [] },
    'an answer that was not asked for': { type: 'control', control: { kind: 'thawed', id: 77 } },
    'a message of the other side': { type: 'hashes', volume: 1, request: 1, hashes: Buffer.alloc(0) },
  } as const)) {
    await using talk = await converse(source)
    await talk.links.agent.send(send, soon())
    await new Promise<void>(resolve => { talk.server.ended.addEventListener('abort', () => { resolve() }) })
    t.match(talk.server.ended.reason, { code: 'LINK_LOST', cause: { code: 'FRAME_INVALID' } }, title)
  }
})
