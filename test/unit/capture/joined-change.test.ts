import t from 'tap'
import { joinChanges, type PathChange } from '../../../src/capture/joined-change.ts'
import { parseRelPath } from '../../../src/domain/rel-path.ts'

const path = parseRelPath(Buffer.from('f'))
const first = { offset: 0, lengthBytes: 4096, sure: true }
const second = { offset: 8192, lengthBytes: 4096, sure: true }

function data(inode: bigint | undefined, ranges: typeof first[] | undefined, atMs = 5): PathChange & { kind: 'data' } {
  return { kind: 'data', volume: 1, path, ...(inode === undefined ? {} : { object: { inode, linkCount: 2 } }), ...(ranges === undefined ? {} : { ranges }), atMs }
}

function ranges(change: PathChange): unknown {
  return change.kind === 'data' ? change.ranges : change.kind
}

void t.test('the ranges of one object are joined, and the first time stays', async t => {
  const { joined, forgotten } = joinChanges(data(7n, [first], 3), data(7n, [second], 9))
  t.same(ranges(joined), [first, second])
  t.equal(joined.atMs, 3)
  t.equal(forgotten, undefined)
})

void t.test('what may have changed anywhere stays so, in either order', async t => {
  for (const [before, after] of [[data(7n, undefined), data(7n, [first])], [data(7n, [first]), data(7n, undefined)], [data(undefined, [first]), data(undefined, [first])]] as const) {
    t.equal(ranges(joinChanges(before, after).joined), undefined)
  }
})

void t.test('ranges of another object that had the name are not believed of this one', async t => {
  const { joined, forgotten } = joinChanges(data(7n, [first]), data(8n, [second]))
  t.equal(ranges(joined), undefined)
  t.match(joined, { object: { inode: 8n } })
  t.same(forgotten, { inode: 7n, linkCount: 2, atMs: 5 })
})

void t.test('changed metadata leaves the ranges, a changed entry forgets them', async t => {
  const metadata: PathChange = { kind: 'metadata', volume: 1, path, object: { inode: 7n, linkCount: 2 }, atMs: 1 }
  t.same(ranges(joinChanges(metadata, data(7n, [first])).joined), [first])
  t.same(ranges(joinChanges(data(7n, [first]), metadata).joined), [first])
  t.equal(joinChanges(data(7n, [first]), { kind: 'entry', volume: 1, path, atMs: 1 }).joined.kind, 'entry')
})
