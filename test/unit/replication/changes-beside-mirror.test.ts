import t from 'tap'
import { createMemoryChangeSource, type MemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { Change } from '../../../src/capture/change-source.ts'
import { ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { ChangesBesideMirror } from '../../../src/replication/changes-beside-mirror.ts'
import { replicateBeside } from '../../../src/replication/replicate-beside.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { MirrorFront } from '../../../src/tree/mirror-front.ts'
import { TreeStream } from '../../tree-stream.ts'
import { cyclesClock, path, SIGNAL } from './live-source.ts'

const entry = (at: string): Change => ({ kind: 'entry', volume: 0, path: path(at), atMs: 1000 })
const data = (at: string, offset: number): Change => ({ kind: 'data', volume: 0, path: path(at), object: { inode: 7n, linkCount: 1 }, ranges: [{ offset, lengthBytes: 4096, sure: true }], atMs: 1000 })
const named = (changes: readonly Change[]): string[] => changes.map(change => 'path' in change ? `${change.kind} ${change.path.toString()}` : change.kind).sort()

function besides(maxWaiting?: number): { source: MemoryChangeSource, front: MirrorFront, changes: ChangesBesideMirror } {
  const source = createMemoryChangeSource({ now: () => 1000 })
  const front = new MirrorFront()
  front.begin(0, ROOT_PATH)
  front.begin(0, path('d'))
  front.end(0, ROOT_PATH)
  return { source, front, changes: new ChangesBesideMirror(source, front, cyclesClock(Infinity).clock, maxWaiting) }
}

t.test('changes of what the mirror has not passed wait, joined, until it has', async t => {
  const { source, front, changes } = besides()
  for (const change of [entry('a'), data('d/f', 0), entry('d/g')]) source.mark(change)
  t.same(named(await changes.take(SIGNAL)), ['entry a'])
  t.ok(front.wasReplaced(0, path('a')))
  t.notOk(front.wasReplaced(0, path('d/g')))
  source.mark(data('d/f', 8192))
  t.same(named(await changes.take(SIGNAL)), [])
  t.same(changes.pending(), { count: 2, oldestAtMs: undefined }, 'what waits for the mirror is no delay of replication')
  front.end(0, path('d'))
  const taken = await changes.take(SIGNAL)
  t.same(named(taken), ['data d/f', 'entry d/g'])
  const [joined] = taken.filter(({ kind }) => kind === 'data')
  t.same(joined?.kind === 'data' ? joined.ranges?.map(({ offset }) => offset) : undefined, [0, 8192])
  changes.end()
  t.same(await source.take(SIGNAL), [])
})

t.test('what a cycle puts off comes with the next one, what was refused goes back at the end, and so does what waits', async t => {
  const { source, front, changes } = besides()
  for (const change of [data('a', 0), entry('d/g')]) source.mark(change)
  const taken = await changes.take(SIGNAL)
  changes.putBack([...taken, entry('refused'), { kind: 'object', volume: 0, inode: 5n, atMs: 1000 }])
  t.same(named(await changes.take(SIGNAL)), ['data a'])
  front.lookAgain(0, path('d/linked'))
  changes.end()
  t.same(named(await source.take(SIGNAL)), ['entry d/g', 'entry d/linked', 'entry refused', 'object'])
  changes.putBack([entry('late')])
  t.same(named(await source.take(SIGNAL)), ['entry late'], 'also what comes back later')
  t.same(await changes.take(SIGNAL), [])
})

t.test('what the mirror wants to be looked at again is a change like any other', async t => {
  const { front, changes } = besides()
  front.lookAgain(0, path('linked'))
  front.lookAgain(0, path('d/linked'))
  t.same(named(await changes.take(SIGNAL)), ['entry linked'])
  front.end(0, path('d'))
  t.same(named(await changes.take(SIGNAL)), ['entry d/linked'])
})

t.test('too much to keep, and a rescan, go back whole: replication waits for the end of the mirror', async t => {
  for (const last of [entry('d/3'), { kind: 'rescan', volume: 0, sinceMs: 5, atMs: 1000, why: ['queue-full'] } satisfies Change]) {
    const { source, changes } = besides(2)
    for (const change of [entry('d/1'), entry('d/2')]) source.mark(change)
    t.same(await changes.take(SIGNAL), [])
    for (const change of [entry('a'), last]) source.mark(change)
    t.same(await changes.take(SIGNAL), [])
    t.ok(changes.isOver)
    t.same(named(await source.take(SIGNAL)), named([entry('a'), entry('d/1'), entry('d/2'), last]))
  }
})

t.test('replication beside a mirror ends quietly when a volume was replaced, and with every other failure; nothing is lost', async t => {
  for (const [code, ends] of [['CAPTURE_OVERFLOW', true], ['LINK_LOST', false]] as const) {
    const source = createMemoryChangeSource({ now: () => 1000 })
    source.mark(entry('d/1'))
    const front = new MirrorFront()
    front.begin(0, ROOT_PATH)
    let taken = 0
    const failing: MemoryChangeSource = Object.assign(Object.create(source) as MemoryChangeSource, {
      take: async (signal: AbortSignal) => {
        if (++taken > 2) throw new AppError(code, 'it has happened')
        return await source.take(signal)
      },
      putBack: (changes: readonly Change[]) => { source.putBack(changes) }, moves: () => [], hasMore: () => source.hasMore(), pending: () => source.pending(), status: () => source.status(),
      looksEnded: async (signal: AbortSignal) => { await source.looksEnded(signal) },
    })
    const tree = new MemoryTree()
    const replicating = replicateBeside({
      volumes: new Map([[0, tree]]), changes: failing, stream: new TreeStream(new Map([[0, new MemoryTree()]])), report: () => undefined, clock: cyclesClock(Infinity).clock,
    }, front, SIGNAL)
    if (ends) await replicating
    else await t.rejects(replicating, { code })
    t.same(named(await source.take(SIGNAL)), ['entry d/1'])
  }
})
