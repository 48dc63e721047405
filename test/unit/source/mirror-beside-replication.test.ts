import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import type { Clock } from '../../../src/clock/clock.ts'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import { mirrorBesideReplication } from '../../../src/source/mirror-beside-replication.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'
import { anyOperation, changingMeanwhile, cyclesClock, describe, LiveSource, metadata, path, SIGNAL, type SourceOperation } from '../replication/live-source.ts'
import { propertyRuns } from '../../seed.ts'

/** Lets others run for so many turns, by a list that begins anew. */
function pauses(turns: readonly number[]): () => Promise<void> {
  let at = 0
  return async () => {
    for (let left = turns[at++ % turns.length] ?? 1; left > 0; left--) await new Promise<void>(resolve => { setImmediate(resolve) })
  }
}

/** Time passes when somebody sleeps; cycles follow each other at once, in between others run. */
function hurriedClock(pause: () => Promise<void>): Clock {
  let now = 1000
  return {
    now: () => now,
    sleep: async (ms, signal) => {
      now += ms
      // timers, too, must get their turn
      await new Promise<void>(resolve => { setImmediate(resolve) })
      await pause()
      signal.throwIfAborted()
    },
  }
}

/** A stream that lets others run before a batch is taken; what it has taken is applied, whoever gives up. */
class LaterStream extends TreeStream {
  pause: () => Promise<void> = async () => undefined
  override async send(...[volume, batch, signal]: Parameters<TreeStream['send']>): Promise<number> {
    await this.pause()
    signal.throwIfAborted()
    return await super.send(volume, batch, SIGNAL)
  }
}

const text = (at: string, data: string): FileOperation => ({ kind: 'file', path: path(at), sizeBytes: 8, complete: true, metadata: metadata(0o644), extents: [{ offset: 0, data: Buffer.from(data) }] })
const BASE: readonly FileOperation[] = [
  ...['a', 'b', 'c', 'd', 'a/x', 'b/x', 'c/x'].map((at): FileOperation => ({ kind: 'directory', path: path(at), metadata: metadata(0o755) })),
  ...['a/y', 'c/y', 'd/x', 'a/x/q'].map(at => text(at, at)),
  { kind: 'link', path: path('b/y'), existing: path('a/y') }, { kind: 'link', path: path('d/y'), existing: path('a/y') }, { kind: 'link', path: path('b/x/q'), existing: path('c/y') },
]

/** when the replica was written, so that nothing on it has by chance the time of a write on the source */
const EARLIER_NS = 1n << 40n

/** As they were before: files that were written since then have other times. */
function older(operation: SourceOperation): SourceOperation {
  return 'metadata' in operation ? { ...operation, metadata: { ...operation.metadata, mtimeNs: 3n } } : operation
}

const anyRequest: fc.Arbitrary<MirrorRequest> = fc.record({
  compare: fc.constantFrom('none' as const, 'attributes' as const, 'data' as const), orphans: fc.constantFrom('delete' as const, 'keep' as const),
})

const anyAbort = fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) })
const anyTurns = fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 12 })), { minLength: 3, maxLength: 12 })
let besides = 0

async function mirrored(first: readonly SourceOperation[], earlier: readonly SourceOperation[], meanwhile: readonly SourceOperation[], request: MirrorRequest, abortAt: number, turns: readonly number[]): Promise<{ source: LiveSource, replica: MemoryTree, findings: string[] }> {
  const source = new LiveSource()
  const replica = new MemoryTree(EARLIER_NS)
  for (const operation of [...BASE, ...first]) if (operation.kind !== 'exchange') await source.tree.apply(encodeOperation(operation), SIGNAL)
  // what an earlier mirror has left, of a source that was another one then
  for (const operation of earlier) if (operation.kind !== 'exchange') await replica.apply(encodeOperation(older(operation) as FileOperation), SIGNAL)
  await source.refresh()
  const pending = [...meanwhile]
  let doing = false
  let looks = abortAt
  const abort = new AbortController()
  const pause = pauses(turns)
  const tree = changingMeanwhile(source.tree, async () => {
    await pause()
    if (doing) return
    doing = true
    if (--looks === 0) abort.abort()
    const operation = pending.shift()
    if (operation !== undefined) await source.does(operation)
    doing = false
  })
  const findings: string[] = []
  const stream = new LaterStream(new Map([[0, replica]]))
  stream.pause = pause
  const mirror = async (signal: AbortSignal): Promise<unknown> => mirrorBesideReplication({
    volumes: new Map([[0, tree]]), stream, request, clock: hurriedClock(pause), changes: source.changes, ratio: () => ({ mirror: 1, replication: 1 }), keepsDeleted: () => false,
    report: (_, found) => findings.push(...found.map(({ code, subject }) => `${code} ${subject}`)),
    reportReplication: ({ changesApplied }, found) => {
      besides += changesApplied
      findings.push(...found.map(({ code, subject }) => `${code} ${subject}`))
    },
  }, signal)
  try {
    await mirror(abort.signal)
  } catch (error) {
    if (!abort.signal.aborted) throw error
    await mirror(SIGNAL)
  }
  stream.pause = async () => undefined
  while (pending.length > 0) await source.does(pending.shift() ?? { kind: 'remove', path: path('a') })
  await createReplicator({
    volumes: new Map([[0, tree]]), changes: source.changes, stream, clock: cyclesClock(Infinity).clock, report: (_, found) => findings.push(...found.map(({ code, subject }) => `${code} ${subject}`)),
  }).drain({}, SIGNAL)
  return { source, replica, findings }
}

t.test('for any tree and any changes between any two looks of the mirror and the replication beside it the replica equals the source after the drain', async t => {
  besides = 0
  await fc.assert(fc.asyncProperty(
    fc.array(anyOperation, { maxLength: 12 }), fc.array(anyOperation, { maxLength: 30 }), anyAbort, anyTurns,
    async (first, meanwhile, abortAt, turns) => {
      const { source, replica } = await mirrored(first, [], meanwhile, { compare: 'none', orphans: 'delete' }, abortAt, turns)
      assert.deepStrictEqual(await describe(replica), await describe(source.tree))
    }), propertyRuns(150))
  t.comment({ besides })
  t.ok(besides > 0, 'replication has brought changes over beside the mirror')
})

t.test('the same for a mirror onto what an earlier one has left', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(anyOperation, { maxLength: 8 }), fc.array(anyOperation, { maxLength: 12 }), fc.array(anyOperation, { maxLength: 30 }), anyRequest, anyAbort, anyTurns,
    async (first, earlier, meanwhile, request, abortAt, turns) => {
      const { source, replica } = await mirrored(first, [...BASE, ...earlier], meanwhile, { ...request, orphans: 'delete' }, abortAt, turns)
      assert.deepStrictEqual(await describe(replica), await describe(source.tree))
    }), propertyRuns(150))
})

t.test('an object with several names that an interrupted mirror wrote by one of them makes the others look equal to nothing', async () => {
  // a/y is another object now, of the size and time of the one that d/y, and on the replica still a/y, belong to
  const first: readonly SourceOperation[] = [{ kind: 'rename', path: path('c'), to: path('a') }]
  for (let abortAt = 1; abortAt <= 40; abortAt++) {
    const { source, replica } = await mirrored(first, BASE, [], { compare: 'attributes', orphans: 'delete' }, abortAt, [0, 0, 9, 3, 5])
    assert.deepStrictEqual(await describe(replica), await describe(source.tree), `interrupted at look ${String(abortAt)}`)
  }
})
