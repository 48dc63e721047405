import t from 'tap'
import { ChangeSet } from '../../../src/capture/change-set.ts'
import { parseRelPath } from '../../../src/domain/rel-path.ts'

const path = (text: string): ReturnType<typeof parseRelPath> => parseRelPath(Buffer.from(text))

void t.test('the strongest kind of a path stays, with the oldest time, and an entry remembers that there was data', async t => {
  const set = new ChangeSet(1e6)
  set.add({ kind: 'metadata', volume: 1, path: path('a'), atMs: 5 })
  set.add({ kind: 'entry', volume: 1, path: path('a'), atMs: 9 })
  set.add({ kind: 'data', volume: 1, path: path('a'), atMs: 7 })
  set.add({ kind: 'data', volume: 2, path: path('a'), atMs: 8 })
  t.same(set.pending(), { count: 2, oldestAtMs: 5 })
  t.strictSame(set.take(), [{ kind: 'entry', volume: 1, path: path('a'), data: true, atMs: 5 }, { kind: 'data', volume: 2, path: path('a'), atMs: 8 }])
  t.strictSame(set.take(), [])
})

void t.test('an object with further names is not forgotten when its name becomes another\'s', async t => {
  const set = new ChangeSet(1e6)
  set.add({ kind: 'data', volume: 1, path: path('a'), object: { inode: 7n, linkCount: 2 }, atMs: 5 })
  set.add({ kind: 'entry', volume: 1, path: path('a'), atMs: 6 })
  t.strictSame(set.take(), [{ kind: 'entry', volume: 1, path: path('a'), data: true, atMs: 5 }, { kind: 'object', volume: 1, inode: 7n, atMs: 5 }])
})

void t.test('an object with further names that changed under a name already marked is not forgotten either', async t => {
  const set = new ChangeSet(1e6)
  set.add({ kind: 'entry', volume: 1, path: path('a'), atMs: 5 })
  set.add({ kind: 'metadata', volume: 1, path: path('a'), object: { inode: 7n, linkCount: 2 }, atMs: 6 })
  set.add({ kind: 'entry', volume: 1, path: path('a'), atMs: 7 })
  t.strictSame(set.take(), [{ kind: 'entry', volume: 1, path: path('a'), atMs: 5 }, { kind: 'object', volume: 1, inode: 7n, atMs: 6 }])
})

void t.test('past its limit a volume is rescanned since its oldest change, the others are not', async t => {
  const set = new ChangeSet(10_000)
  set.add({ kind: 'entry', volume: 2, path: path('kept'), atMs: 1 })
  for (let i = 0; i < 100; i++) set.add({ kind: 'data', volume: 1, path: path(`f${String(i)}`), atMs: 100 + i })
  const taken = set.take()
  t.ok(taken.some(change => change.kind === 'rescan' && change.volume === 1 && change.sinceMs === 100))
  t.ok(taken.some(change => change.kind === 'entry' && change.volume === 2))
  t.ok(taken.length < 50)
})

void t.test('a rescan says why until it is taken, each reason once', async t => {
  const set = new ChangeSet(1e6)
  set.add({ kind: 'rescan', volume: 1, sinceMs: 7, atMs: 9, why: ['events-lost'] })
  set.add({ kind: 'rescan', volume: 1, sinceMs: -5, atMs: 10, why: ['agent-crashed', 'events-lost'] })
  t.strictSame(set.status().degraded, [{ kind: 'events-lost', volume: 1, sinceMs: 0 }, { kind: 'agent-crashed', volume: 1, sinceMs: 0 }])
  t.strictSame(set.take(), [{ kind: 'rescan', volume: 1, sinceMs: -5, atMs: 9, why: ['events-lost', 'agent-crashed'] }])
  t.strictSame(set.status(), { queueBytes: 0, degraded: [] })
})
