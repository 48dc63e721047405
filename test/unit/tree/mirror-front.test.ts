import t from 'tap'
import { parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import { MirrorFront } from '../../../src/tree/mirror-front.ts'

const path = (text: string): RelPath => parseRelPath(Buffer.from(text))

t.test('a name is passed when nothing at or above its directory, and nothing at or below it, is under way', async t => {
  const front = new MirrorFront()
  front.begin(0, ROOT_PATH)
  front.begin(1, ROOT_PATH)
  t.notOk(front.hasPassed(0, path('a')))
  t.notOk(front.hasPassed(0, ROOT_PATH))
  front.begin(0, path('d'))
  front.begin(0, path('e'))
  front.end(0, ROOT_PATH)
  t.ok(front.hasPassed(0, path('a')), 'a name of the root')
  t.ok(front.hasPassed(0, path('new/x')), 'what came into being behind the mirror')
  t.notOk(front.hasPassed(0, path('d')), 'a directory that waits')
  t.notOk(front.hasPassed(0, path('d/x/y')), 'below it')
  t.notOk(front.hasPassed(0, ROOT_PATH), 'the root, below which directories wait')
  t.ok(front.hasPassed(0, path('dd')), 'a name that begins alike')
  t.notOk(front.hasPassed(1, path('a')), 'another volume')
  front.begin(0, path('d/x'))
  front.end(0, path('d'))
  t.ok(front.hasPassed(0, path('d/f')))
  t.notOk(front.hasPassed(0, path('d')), 'a directory with one below that waits is not to be replaced')
  t.notOk(front.hasPassed(0, path('d/x/q')))
  front.end(0, path('d/x'))
  front.end(0, path('e'))
  t.ok(front.hasPassed(0, path('d')))
  t.ok(front.hasPassed(0, ROOT_PATH))
  front.begin(0, ROOT_PATH)
  t.notOk(front.hasPassed(0, path('d/x')), 'another round')
})

t.test('a directory that begins twice is one, and the end of one that has not begun nothing', async t => {
  const front = new MirrorFront()
  front.begin(0, path('d'))
  front.begin(0, path('d'))
  front.end(0, path('other'))
  front.end(0, path('d'))
  t.ok(front.hasPassed(0, path('d')))
  t.equal(front.ended, 1)
})

t.test('what was replaced counts for all that is below, in its volume', async t => {
  const front = new MirrorFront()
  t.notOk(front.wasReplaced(0, path('a/b')))
  front.replaced(0, path('a'))
  t.ok(front.wasReplaced(0, path('a')))
  t.ok(front.wasReplaced(0, path('a/b/c')))
  t.notOk(front.wasReplaced(0, path('ab')))
  t.notOk(front.wasReplaced(1, path('a')))
})

t.test('cycles and the work of the mirror follow each other, also behind one that fails', async t => {
  const front = new MirrorFront()
  const said: string[] = []
  const work = (name: string, fails = false) => front.alone(async () => {
    said.push(`${name} begins`)
    await new Promise<void>(resolve => { setImmediate(resolve) })
    said.push(`${name} ends`)
    if (fails) throw new Error(name)
  })
  const failing = work('a', true)
  await Promise.all([t.rejects(failing, { message: 'a' }), work('b'), work('c')])
  t.same(said, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
})
