/** A mirror or replication whose replica or connection fails under way, or that is given up: what the appliance hears, and that it goes on later. */
import t from 'tap'
import { AppError } from '../../../src/errors/app-error.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { ApplyResult } from '../../../src/tree/target-tree.ts'
import type { OperationBatch } from '../../../src/wire/operation-codec.ts'
import { at, change, contentOf, converse, EVERYTHING, file, filled, nothing, ROOTS, soon, targetsOf } from './conversation.ts'

/** A target that fails with this error from the first batch on, until it is healed. */
class FailingTree extends MemoryTree {
  failure: AppError | undefined
  flushFailure: AppError | undefined
  override async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> {
    if (this.failure !== undefined) throw this.failure
    return await super.apply(batch, signal)
  }

  override async flush(): Promise<void> {
    if (this.flushFailure !== undefined) throw this.flushFailure
  }
}

t.test('a replica that is full ends the mirror with its code; the agent stops; the connection stays usable', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  const target = new FailingTree()
  target.failure = new AppError('REPLICA_FULL', 'no space left')
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon()), { code: 'REPLICA_FULL' })
  t.notOk(talk.server.ended.aborted)
  target.failure = undefined
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), await contentOf(source.tree))
})

t.test('a replica that cannot be flushed ends the mirror with its code', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  const target = new FailingTree()
  target.flushFailure = new AppError('REPLICA_WRITE', 'input/output error')
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon()), { code: 'REPLICA_WRITE' })
})

t.test('changes that a full replica dropped are sent when it has space again', async t => {
  await using source = await filled(3)
  await using talk = await converse(source)
  const target = new FailingTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  target.failure = new AppError('REPLICA_FULL', 'no space left')
  await change(source.tree, file('late', 'late'))
  source.changes.mark({ kind: 'entry', volume: 1, path: at('late'), atMs: Date.now() })
  await t.rejects(talk.server.replicate(targetsOf(target), nothing, soon()), { code: 'REPLICA_FULL' })
  target.failure = undefined
  await talk.server.drain({ freeze: false, holdMs: 1000 }, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), await contentOf(source.tree))
})

t.test('a cut in the middle of a mirror fails both sides with LINK_LOST; a new connection goes on with the same capture', async t => {
  await using source = await filled()
  const target = new FailingTree()
  {
    await using talk = await converse(source)
    await talk.server.prepare('job-1', ROOTS, [], soon())
    const cutting = target.apply.bind(target)
    target.apply = async (batch, signal) => {
      talk.links.cut()
      return await cutting(batch, signal)
    }
    await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon()), { code: 'LINK_LOST' })
    await t.rejects(talk.session, { code: 'LINK_LOST' })
    t.ok(talk.server.ended.aborted)
    await t.rejects(talk.server.describe(soon()), { code: 'LINK_LOST' })
  }
  await using talk = await converse(source)
  t.match(talk.server, { captureEpoch: 'epoch-1', capturingJobId: 'job-1' })
  t.same(await talk.server.prepare('job-1', ROOTS, [], soon()), { captureEpoch: 'epoch-1' })
  const whole = new MemoryTree()
  await talk.server.mirror(EVERYTHING, targetsOf(whole), nothing, soon())
  t.same(await contentOf(whole), await contentOf(source.tree))
})

t.test('an aborted mirror stops the agent and leaves the connection usable', async t => {
  await using source = await filled()
  await using talk = await converse(source)
  const target = new FailingTree()
  await talk.server.prepare('job-1', ROOTS, [], soon())
  const stop = new AbortController()
  const going = target.apply.bind(target)
  target.apply = async (batch, signal) => {
    stop.abort()
    return await going(batch, signal)
  }
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, stop.signal), { name: 'AbortError' })
  await t.rejects(talk.server.mirror(EVERYTHING, targetsOf(target), nothing, stop.signal), { name: 'AbortError' }, 'an aborted signal begins nothing')
  await talk.server.mirror(EVERYTHING, targetsOf(target), nothing, soon())
  t.same(await contentOf(target), await contentOf(source.tree))
})
