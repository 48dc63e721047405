import t from 'tap'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { change, contentOf, converse, directory, file, nothing, ROOTS, soon, targetsOf, TestSource } from './conversation.ts'

const ATTRIBUTES = { compare: 'attributes', orphans: 'delete' } as const
const T = Date.now() - 60_000
const NS_PER_MS = 1_000_000n

t.test('a file that was read while it was written has its time but not its data: a mirror by attributes believes it only when it settled', async t => {
  await using source = new TestSource()
  await change(source.tree, directory('a'), file('a/torn', 'new'), file('other', 'same'))
  const target = new MemoryTree(BigInt(T) * NS_PER_MS)
  await change(target, directory('a'), file('a/torn', 'old'), file('other', 'same'))
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(ATTRIBUTES, targetsOf(target), nothing, soon())
  await talk.server.mirror(ATTRIBUTES, targetsOf(target), nothing, soon(), { settledBeforeMs: T + 30_000 })
  t.equal((await contentOf(target))['a/torn'], 'old', 'nothing tells it from a file that is right')
  await talk.server.mirror(ATTRIBUTES, targetsOf(target), nothing, soon(), { settledBeforeMs: T - 1 })
  t.same(await contentOf(target), await contentOf(source.tree))
})

/** Its objects change now. */
class LiveSource extends TestSource {
  override readonly tree = new MemoryTree(BigInt(Date.now()) * NS_PER_MS)
}

t.test('a file that was changed while changes were forgotten, and has its times from before, is compared', async t => {
  await using source = new LiveSource()
  await change(source.tree, file('stamped', 'new'))
  const target = new MemoryTree(BigInt(T - 3600_000) * NS_PER_MS)
  await change(target, file('stamped', 'old'))
  await using talk = await converse(source)
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(ATTRIBUTES, targetsOf(target), nothing, soon())
  t.equal((await contentOf(target))['stamped'], 'old', 'nothing tells it from a file that is right')
  await talk.server.mirror(ATTRIBUTES, targetsOf(target), nothing, soon(), { settledBeforeMs: T })
  t.equal((await contentOf(target))['stamped'], 'new')
})
