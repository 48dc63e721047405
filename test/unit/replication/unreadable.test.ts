/** What cannot be read on the source is told, everything else arrives, and the drain ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import t from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import { createReplicator, type Replicator } from '../../../src/replication/replicator.ts'
import type { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'
import { describe, directory, file, LARGE_BYTES, link, type LiveSource, metadata, mirroredTrees, path, SIGNAL, type SourceOperation, write } from './live-source.ts'
import { refusingTree, type Refusing } from './refusing-tree.ts'

const large = (at: string): SourceOperation => file(at, 'large', LARGE_BYTES)
/** cycles that no drain of so little needs */
const TOO_MANY = 200

async function untilAborted(_: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
  signal.throwIfAborted()
}

/** A replicator of a source that refuses; its drain fails when it does not end by itself. */
function replicating(source: LiveSource, replica: MemoryTree, refuses: Refusing): { replicator: Replicator, told: string[] } {
  const told: string[] = []
  const take = source.changes.take.bind(source.changes)
  let taken = 0
  source.changes.take = async signal => {
    if (++taken > TOO_MANY) throw new AppError('INTERNAL', 'the drain does not end')
    return await take(signal)
  }
  const stream = new TreeStream(new Map([[0, replica]]))
  const replicator = createReplicator({
    volumes: new Map([[0, refusingTree(source.tree, refuses)]]), changes: source.changes, stream, clock: { now: () => 1000, sleep: untilAborted },
    report: (_, found) => told.push(...found.map(({ code, subject }) => `${code} ${subject}`)),
  })
  return { replicator, told }
}

/** Drained as a frozen source is: until nothing waits. */
async function drained({ replicator, told }: ReturnType<typeof replicating>): Promise<string[]> {
  const thawed = new AbortController()
  const frozen = { frozenAtMs: 1, holdMs: 1e9, thawed: thawed.signal, hold: async () => true, thaw: async () => undefined, leave: async () => true, keep: () => undefined, [Symbol.asyncDispose]: async () => undefined }
  await replicator.drain({ freeze: async () => frozen }, SIGNAL)
  return [...new Set(told.splice(0))].sort()
}

for (const names of [[], ['linked'], ['linked', 'linked-too']]) {
  t.test(`a large file with ${String(1 + names.length)} names that cannot be opened is told, does not keep a drain from its end, and arrives when it can be`, async t => {
    const { source, replica } = await mirroredTrees([large('closed'), ...names.map(name => link(name, 'closed')), file('other')])
    const all = ['closed', ...names]
    let refused = true
    const replicating1 = replicating(source, replica, (what, at) => refused && what === 'open' && all.includes(at))
    for (const at of ['closed', 'other']) await source.does(write(at))
    t.same([...new Set((await drained(replicating1)).map(one => one.split(' ')[0]))], ['FILE_UNREADABLE'])
    const [ours, theirs] = [await describe(source.tree), await describe(replica)]
    t.same(theirs['other'], ours['other'])
    t.same(Object.keys(theirs).sort(), Object.keys(ours).sort(), 'the replica keeps what it has')
    refused = false
    await source.does(write('closed'))
    t.same(await drained(replicating1), [])
    assert.deepStrictEqual(await describe(replica), await describe(source.tree))
  })
}

t.test('new names of an object that cannot be opened do not keep a drain from its end', async t => {
  const { source, replica } = await mirroredTrees([file('other')])
  let refused = true
  const replicating1 = replicating(source, replica, (what, at) => refused && what === 'open' && ['new', 'newer'].includes(at))
  for (const operation of [large('new'), link('newer', 'new'), write('other')]) await source.does(operation)
  t.same([...new Set((await drained(replicating1)).map(one => one.split(' ')[0]))], ['FILE_UNREADABLE'])
  t.same((await describe(replica))['other'], (await describe(source.tree))['other'])
  refused = false
  for (const at of ['new', 'newer']) await source.does({ kind: 'rename', path: path(at), to: path(`${at}-moved`) })
  t.same(await drained(replicating1), [])
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})

t.test('what cannot be looked at, or has attributes that cannot be read, is told; what the replica has of it stays, and the rest arrives', async t => {
  const { source, replica } = await mirroredTrees([directory('blind'), directory('bare'), file('blind/in'), file('bare/in'), file('gone'), file('lost'), link('lost-too', 'lost'), file('other')])
  let refused = true
  const replicating1 = replicating(source, replica, (what, at) => refused && ((what === 'look' && ['gone', 'lost-too', 'blind'].includes(at)) || (what === 'metadata' && ['bare', 'other'].includes(at))))
  const before = await describe(replica)
  for (const at of ['gone', 'lost']) await source.does({ kind: 'remove', path: path(at) })
  for (const operation of [file('gone', 'new'), file('bare/new'), file('blind/new'), write('bare/in'), write('lost-too')]) await source.does(operation)
  await source.does({ kind: 'metadata', path: path('other'), metadata: metadata(0o600) })
  t.same(await drained(replicating1), ['bare', 'blind', 'gone', 'lost-too', 'other'].map(at => `FILE_UNREADABLE ${at}`))
  const [ours, theirs] = [await describe(source.tree), await describe(replica)]
  for (const at of ['bare/in', 'bare/new', 'blind/in', 'blind/new']) t.same(theirs[at], ours[at], at)
  for (const at of ['gone', 'other']) t.same(theirs[at], before[at], at)
  refused = false
  for (const at of ['gone', 'lost-too', 'other']) await source.does({ kind: 'rename', path: path(at), to: path(`${at}-moved`) })
  // what could not be read has no mark any more: in life the next scan finds it by its change time
  await source.does(write('lost-too-moved'))
  for (const at of ['bare', 'blind']) await source.does({ kind: 'metadata', path: path(at), metadata: metadata(0o755) })
  t.same(await drained(replicating1), [])
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})

t.test('a directory that cannot be listed to its end is told by a rescan, and the replica keeps what it has in it', async t => {
  const { source, replica } = await mirroredTrees([directory('bad'), file('bad/kept'), file('bad/removed'), file('bad/blind'), directory('good'), file('good/removed')])
  let refused = true
  const replicating1 = replicating(source, replica, (what, at) => refused && ((what === 'list' && at === 'bad') || (what === 'look' && at === 'bad/blind')))
  for (const at of ['bad/removed', 'good/removed']) await source.tree.apply(encodeOperation({ kind: 'remove', path: path(at) }), SIGNAL)
  await source.tree.apply(encodeOperation(file('bad/new')), SIGNAL)
  await source.refresh()
  source.changes.lose(0, 1000)
  t.same(await drained(replicating1), ['FILE_UNREADABLE bad', 'FILE_UNREADABLE bad/blind'])
  t.same(Object.keys(await describe(replica)), ['.', 'bad', 'bad/blind', 'bad/kept', 'bad/new', 'bad/removed', 'good'])
  refused = false
  source.changes.lose(0, 1000)
  t.same(await drained(replicating1), [])
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})

t.test('a new directory that cannot be listed to its end is told, and what was listed of it arrives', async t => {
  const { source, replica } = await mirroredTrees([])
  const replicating1 = replicating(source, replica, (what, at) => what === 'list' && at === 'new/bad')
  for (const operation of [directory('new'), directory('new/bad'), file('new/bad/in'), file('new/other')]) await source.tree.apply(encodeOperation(operation), SIGNAL)
  await source.refresh()
  source.changes.mark({ kind: 'entry', volume: 0, path: path('new'), atMs: 1000 })
  t.same(await drained(replicating1), ['FILE_UNREADABLE new/bad'])
  assert.deepStrictEqual(Object.keys(await describe(replica)), Object.keys(await describe(source.tree)))
})
