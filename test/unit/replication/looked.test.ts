import t from 'tap'
import type { Move } from '../../../src/capture/change-source.ts'
import { parseRelPath } from '../../../src/domain/rel-path.ts'
import { LinkGroups } from '../../../src/replication/link-groups.ts'
import { Looked } from '../../../src/replication/looked.ts'
import { certainMoves } from '../../../src/replication/moving.ts'
import { compileRules, EVERYTHING } from '../../../src/tree/volume-rules.ts'

const path = (text: string): ReturnType<typeof parseRelPath> => parseRelPath(Buffer.from(text))
const move = (from: string, more: Partial<Move> = {}): Move => ({ volume: 0, from: path(from), inode: 7n, linkCount: 1, isDirectory: true, early: false, ...more })

function isCertain(one: Move, before: Looked, more: Partial<Parameters<typeof certainMoves>[1]> = {}): boolean {
  return certainMoves([one], { before, rules: EVERYTHING, links: new LinkGroups(), refused: new Set(), ...more }).length === 1
}

void t.test('what left after the looks is moved, whatever was looked at', async t => {
  const before = new Looked()
  before.whole(path('a'))
  t.ok(isCertain(move('a'), before))
  t.ok(isCertain(move('a/b'), before))
})

void t.test('what left while it was looked at, or something in it, is not moved', async t => {
  const before = new Looked()
  before.whole(path('a/whole'))
  before.path(path('b/c'))
  for (const from of ['a/whole', 'a/whole/below', 'a', 'b', 'b/c']) t.notOk(isCertain(move(from, { early: true }), before), from)
  for (const from of ['a/who', 'a/wholes', 'b/c/d', 'b/ca']) t.ok(isCertain(move(from, { early: true }), before), from)
})

void t.test('what is to be looked at again is not moved, and content below it is looked at under the new path', async t => {
  const before = new Looked()
  before.returned({ kind: 'entry', volume: 0, path: path('a'), atMs: 1 })
  before.returned({ kind: 'data', volume: 0, path: path('b/c/d'), object: { inode: 9n, linkCount: 1 }, atMs: 2 })
  t.notOk(isCertain(move('a'), before))
  t.notOk(isCertain(move('a/below'), before))
  t.ok(isCertain(move('b'), before))
  t.same(before.returnedBelow(path('b'), path('x/y')), [{ kind: 'data', volume: 0, path: path('x/y/c/d'), atMs: 2 }])
})

void t.test('nothing is moved in doubt, and nothing that was refused, in either direction', async t => {
  const doubted = new Looked()
  doubted.doubt()
  t.notOk(isCertain(move('a'), doubted))
  for (const refused of ['a', 'a/b', '']) t.notOk(isCertain(move('a'), new Looked(), { refused: new Set([refused]) }), refused)
  t.notOk(isCertain(move('a/b'), new Looked(), { refused: new Set(['a']) }))
  t.ok(isCertain(move('ab'), new Looked(), { refused: new Set(['a']) }))
})

void t.test('a directory that the rules divide is not moved as one, and what is outside them not at all', async t => {
  const rules = compileRules([{ kind: 'exclude', pattern: '/a/secret', recursive: true }])
  t.notOk(isCertain(move('a'), new Looked(), { rules }))
  t.notOk(isCertain(move('a/secret'), new Looked(), { rules }))
  t.ok(isCertain(move('b'), new Looked(), { rules }))
  t.ok(isCertain(move('a/file', { isDirectory: false }), new Looked(), { rules }))
})
