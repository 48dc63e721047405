import t from 'tap'
import { beginMark, flushedBefore, MirrorMark, readMark, resumePoint } from '../../../src/replication/mirror-mark.ts'
import { MarkedTargets } from '../../../src/replication/marked-targets.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { ResumePoint } from '../../../src/wire/messages.ts'

const signal = new AbortController().signal
const T = 1_700_000_000_000

const isUnsure = (point: ResumePoint, ms: number): boolean => point.unsure.some(([from, to]) => ms >= from && ms < to)

t.test('a first mirror trusts nothing that was there before, and what it wrote before its last flush it trusts', async t => {
  const mark = { ...beginMark(undefined, { compare: 'none' }, T), durableBeforeMs: flushedBefore(T + 5000) }
  const point = resumePoint(mark, { compare: 'none' }, 3, T + 9000)
  t.equal(point.volume, 3)
  t.ok(point.sentSinceMs !== null && point.sentSinceMs > T && point.sentSinceMs < T + 1000)
  t.notOk(isUnsure(point, T + 3000), 'flushed')
  t.ok(isUnsure(point, T + 6000), 'written behind the flush')
})

t.test('what one mirror left unsure stays so through the next ones, whatever they flush', async t => {
  const first = { ...beginMark(undefined, { compare: 'attributes' }, T), durableBeforeMs: T + 4000 }
  const second = { ...beginMark(first, { compare: 'attributes' }, T + 10_000), durableBeforeMs: T + 20_000 }
  const point = resumePoint(second, { compare: 'attributes' }, 0, T + 30_000)
  t.notOk(isUnsure(point, T + 3999))
  t.ok(isUnsure(point, T + 4000))
  t.ok(isUnsure(point, T + 10_000))
  t.notOk(isUnsure(point, T + 15_000), 'written and flushed by the second')
  t.ok(isUnsure(point, T + 20_000))
})

t.test('what was written while changes were captured that are forgotten is unsure, until a mirror is complete', async t => {
  const begun = { compare: 'attributes', settledBeforeMs: T - 3000 } as const
  const point = resumePoint(undefined, begun, 0, T)
  t.equal(point.sentSinceMs, null)
  t.notOk(isUnsure(point, T - 3001))
  t.ok(isUnsure(point, T - 3000))
  const interrupted = { ...beginMark(undefined, begun, T), durableBeforeMs: T + 4000 }
  const next = resumePoint(interrupted, { compare: 'attributes' }, 0, T + 9000)
  t.ok(isUnsure(next, T - 3000), 'also for the mirror that comes after an interrupted one')
  t.notOk(isUnsure(next, T + 2000), 'what that one wrote and flushed is right')
  t.ok(isUnsure(resumePoint(undefined, begun, 0, T - 4000), 0), 'a clock that was set back tells nothing')
  t.equal(point.forgottenForMs, 3000)
  t.equal(next.forgottenForMs, 12_000, 'the source may have changed since then in any case')
  t.equal(resumePoint(beginMark(undefined, { compare: 'attributes' }, T), { compare: 'attributes' }, 0, T).forgottenForMs, null)
})

t.test('only an unbroken chain of mirrors that compare nothing has sent what they find', async t => {
  const none = beginMark(undefined, { compare: 'none' }, T)
  t.equal(beginMark(none, { compare: 'none' }, T + 5000).startedMs, none.startedMs)
  t.equal(resumePoint(none, { compare: 'attributes' }, 0, T + 1).sentSinceMs, null)
  const attributes = beginMark(none, { compare: 'attributes' }, T + 5000)
  t.equal(resumePoint(attributes, { compare: 'none' }, 0, T + 6000).sentSinceMs, null, 'it may have healed the metadata of what nobody sent')
  t.ok(beginMark(attributes, { compare: 'none' }, T + 7000).startedMs > T + 7000)
})

t.test('a clock that was set back makes everything unsure', async t => {
  const left = { ...beginMark(undefined, { compare: 'none' }, T), durableBeforeMs: T + 60_000 }
  const point = resumePoint(left, { compare: 'none' }, 0, T + 30_000)
  for (const ms of [0, T, T + 59_000, T + 10 ** 9]) t.ok(isUnsure(point, ms))
})

t.test('many interruptions leave a mark of bounded size that forgets nothing', async t => {
  let mark = beginMark(undefined, { compare: 'attributes' }, T)
  for (let i = 1; i <= 100; i++) {
    const now = T + i * 100_000
    mark = { ...beginMark(mark, { compare: 'attributes' }, now), durableBeforeMs: now + 50_000 }
  }
  t.ok(MirrorMark.safeParse(mark).success)
  t.ok(JSON.stringify(mark).length < 1000)
  const point = resumePoint(mark, { compare: 'attributes' }, 0, T + 200 * 100_000)
  for (let i = 1; i < 100; i++) t.ok(isUnsure(point, T + i * 100_000 + 60_000))
})

t.test('the mark follows the flushes and is gone when the mirror is complete', async t => {
  const tree = new MemoryTree()
  let nowMs = T
  const clock = { now: () => nowMs, sleep: async () => undefined }
  const marked = await MarkedTargets.begin(new Map([[0, tree]]), { compare: 'none' }, clock, signal)
  t.same(marked.resume, [])
  nowMs = T + 60_000
  await marked.trees.get(0)?.flush(signal)
  t.equal((await readMark(tree, signal))?.durableBeforeMs, flushedBefore(T + 60_000))
  const again = await MarkedTargets.begin(new Map([[0, tree]]), { compare: 'none' }, clock, signal)
  t.equal(again.resume.length, 1)
  await again.complete(signal)
  t.equal(await readMark(tree, signal), undefined)
})

t.test('a mark that nobody knows is as good as none', async t => {
  const tree = new MemoryTree()
  for (const text of ['', '{', '{"version":2}', 'null']) {
    await tree.writeMirrorMark(text)
    t.equal(await readMark(tree, signal), undefined)
  }
})
