import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import type { Clock } from '../../../src/clock/clock.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import { listingEntries } from '../../../src/wire/listing-codec.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { ApplyResult } from '../../../src/tree/target-tree.ts'
import { decodeOperations, encodeOperation, keptOperations, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'
import { anyOperation, changingMeanwhile, cyclesClock, describe, file, LARGE_BYTES, link, LiveSource, metadata, mirroredTrees, path, SIGNAL, write } from './live-source.ts'
import { propertyRuns } from '../../seed.ts'

t.test('for any tree and any changes, taken at once, in parts or given up for a rescan, between any two looks, and runs aborted anywhere, the replica equals the source after the drain', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(anyOperation, { maxLength: 20 }), fc.array(fc.array(anyOperation, { maxLength: 8 }), { maxLength: 4 }), fc.array(anyOperation, { maxLength: 25 }),
    fc.array(fc.nat({ max: 40 }), { minLength: 4, maxLength: 4 }), fc.constantFrom(Infinity, Infinity, 3, 1), fc.array(fc.nat({ max: 80 }), { maxLength: 3 }),
    async (first, rounds, meanwhile, stops, partSize, losses) => {
      const { source, replica } = await mirroredTrees(first, partSize)
      const pending = [...meanwhile]
      let doing = false
      // looks until the run is aborted, in the middle of a cycle
      let looks = Infinity
      let looked = 0
      let stop = (): void => undefined
      const tree = changingMeanwhile(source.tree, async () => {
        if (doing) return
        doing = true
        if (--looks === 0) stop()
        if (losses.includes(++looked)) source.changes.lose(0, 1000)
        const operation = pending.shift()
        if (operation !== undefined) await source.does(operation)
        doing = false
      })
      const stream = new TreeStream(new Map([[0, replica]]))
      const findings: string[] = []
      const make = (clock: Clock): ReturnType<typeof createReplicator> => createReplicator({
        volumes: new Map([[0, tree]]), changes: source.changes, stream, clock, report: (_, found) => findings.push(...found.map(({ code }) => code)),
      })
      for (const [number, round] of rounds.entries()) {
        for (const operation of round) await source.does(operation)
        const cycles = cyclesClock(2)
        looks = stops[number] ?? Infinity
        stop = cycles.stop
        await make(cycles.clock).run(cycles.signal)
        looks = Infinity
      }
      while (pending.length > 0) await source.does(pending.shift() ?? { kind: 'remove', path: path('a') })
      await make(cyclesClock(Infinity).clock).drain({}, SIGNAL)
      assert.deepStrictEqual(await describe(replica), await describe(source.tree))
      assert.deepStrictEqual(findings, [])
    }), propertyRuns(1500))
})

t.test('a change that comes while links are settled is not lost when the run is aborted then', async t => {
  for (let changeAt = 1; changeAt <= 12; changeAt++) {
    for (let stopAt = changeAt; stopAt <= changeAt + 8; stopAt++) {
      const { source, replica } = await mirroredTrees([file('a'), file('gone')])
      await source.does(link('b', 'a'))
      const { clock, signal, stop } = cyclesClock(2)
      let looks = 0
      let doing = false
      const tree = changingMeanwhile(source.tree, async () => {
        if (doing) return
        doing = true
        looks += 1
        if (looks === changeAt) await source.does({ kind: 'remove', path: path('gone') })
        if (looks === stopAt) stop()
        doing = false
      })
      const stream = new TreeStream(new Map([[0, replica]]))
      const options = { volumes: new Map([[0, tree]]), changes: source.changes, stream, report: () => undefined }
      await createReplicator({ ...options, clock }).run(signal)
      await createReplicator({ ...options, clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
      if (looks < changeAt) return
      assert.deepStrictEqual(await describe(replica), await describe(source.tree), `changed at look ${String(changeAt)}, aborted at ${String(stopAt)}`)
    }
  }
  t.end()
})

t.test('a name that was given to a new object leaves the old object under its other name as it was', async () => {
  const { source, replica } = await mirroredTrees([file('a', 'old'), link('b', 'a')])
  await source.does({ kind: 'remove', path: path('b') })
  await source.does(file('b', 'new'))
  const stream = new TreeStream(new Map([[0, replica]]))
  await createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => undefined, clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})

t.test('what a new name led to does not stay half made when the run is aborted then and the name goes', async () => {
  for (let stopAt = 1; stopAt <= 20; stopAt++) {
    const { source, replica } = await mirroredTrees([{ kind: 'file', path: path('a'), sizeBytes: 5000, complete: true, metadata: metadata(0o644), extents: [{ offset: 4950, data: Buffer.from([0]) }] }, { kind: 'directory', path: path('c'), metadata: metadata(0o755) }])
    await source.does(link('c/b', 'a'))
    const { clock, signal, stop } = cyclesClock(2)
    let looks = 0
    const tree = changingMeanwhile(source.tree, async () => {
      await Promise.resolve()
      if (++looks === stopAt) stop()
    })
    const options = { volumes: new Map([[0, tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: () => undefined }
    await createReplicator({ ...options, clock }).run(signal)
    await source.does({ kind: 'remove', path: path('c') })
    await createReplicator({ ...options, clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
    assert.deepStrictEqual(await describe(replica), await describe(source.tree), `aborted at look ${String(stopAt)}`)
  }
})

t.test('what changed through a name that is gone is not written into another object, whose name it gets while it is looked for', async () => {
  const { source, replica } = await mirroredTrees([file('one', 'one'), file('two', 'two'), link('still', 'two')])
  await source.tree.apply(encodeOperation({ kind: 'write', path: path('one'), offset: 0, data: Buffer.from('ONE') }), SIGNAL)
  for (const { inode } of listingEntries(await source.tree.look(path('one'), SIGNAL) ?? assert.fail())) source.changes.mark({ kind: 'object', volume: 0, inode, atMs: 1000 })
  const namesOf = source.changes.namesOf.bind(source.changes)
  source.changes.namesOf = async (...asked) => {
    await source.does({ kind: 'rename', path: path('one'), to: path('two') })
    return await namesOf(...asked)
  }
  const stream = new TreeStream(new Map([[0, replica]]))
  await createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => undefined, clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})

t.test('cycles begin less often while the source is short of processor time', async t => {
  const { source, replica } = await mirroredTrees([])
  const { clock, signal } = cyclesClock(4)
  const short = [false, true, true, false]
  const paused: number[] = []
  await createReplicator({
    volumes: new Map([[0, source.tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: () => undefined, isSourceShort: () => short.shift() === true,
    clock: { now: () => clock.now(), sleep: async (ms, signal) => { paused.push(ms); await clock.sleep(ms, signal) } },
  }).run(signal)
  t.same(paused, [400, 1000, 1000, 400])
})

t.test('a big file that was compared just now, and changed through a name that is gone, is compared later and does not look finished before', async t => {
  const { source, replica } = await mirroredTrees([file('f', 'old', LARGE_BYTES)])
  let comparedForMs = 0
  const stream = new (class extends TreeStream {
    override async hashes(...asked: Parameters<TreeStream['hashes']>): Promise<Buffer> {
      comparedForMs += 10_000
      return await super.hashes(...asked)
    }
  })(new Map([[0, replica]]))
  let compared: unknown
  const cycles = cyclesClock(3, async () => {
    if (compared !== undefined) return
    compared = await describe(replica)
    await source.tree.apply(encodeOperation({ kind: 'write', path: path('f'), offset: 100_000, data: Buffer.from('new') }), SIGNAL)
    for (const { inode } of listingEntries(await source.tree.look(path('f'), SIGNAL) ?? assert.fail())) source.changes.mark({ kind: 'object', volume: 0, inode, atMs: 1000 })
  })
  const clock: Clock = { ...cycles.clock, now: () => cycles.clock.now() + comparedForMs }
  const options = { volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => undefined, clock }
  await source.does(write('f'))
  await createReplicator(options).run(cycles.signal)
  t.ok(comparedForMs > 0)
  t.strictSame(await describe(replica), compared)
  await createReplicator(options).drain({}, SIGNAL)
  t.strictSame(await describe(replica), await describe(source.tree))
})

/** A replica that refuses to make a file so many times. */
class RefusingTree extends MemoryTree {
  left: number
  constructor(times: number) {
    super()
    this.left = times
  }

  override async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> {
    const failures = [...decodeOperations(batch)].flatMap(({ kind, path }, index) => kind === 'file' && this.left-- > 0 ? [{ index, kind, path, errno: 'EIO', what: '', partial: false, message: '' }] : [])
    const result = await super.apply(failures.length === 0 ? batch : keptOperations(batch, kind => kind !== 'file' && kind !== 'metadata'), signal)
    return { ...result, failures: [...result.failures, ...failures] }
  }
}

t.test('what the replica refused within a cycle is not told as safe before it was sent again', async t => {
  const source = new LiveSource()
  const replica = new RefusingTree(1)
  const latencies: number[] = []
  const cycles = cyclesClock(2, async () => { latencies.push(replicator.progress().recoveryPointLatencyMs) })
  const clock: Clock = { ...cycles.clock, now: () => cycles.clock.now() + 5000 }
  const replicator = createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: () => undefined, clock })
  await source.refresh()
  await source.does(file('new'))
  await replicator.run(cycles.signal)
  t.ok((latencies[0] ?? 0) >= 5000, `${String(latencies[0])} ms`)
  t.strictSame(await describe(replica), await describe(source.tree))
  t.equal(latencies[1], 0)
})

t.test('a drain ends though the replica goes on refusing a file, and tells it', async t => {
  const source = new LiveSource()
  const replica = new RefusingTree(200)
  const findings: string[] = []
  await source.refresh()
  await source.does(file('new'))
  await createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: (_, found) => findings.push(...found.map(({ code }) => code)), clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
  t.strictSame(findings, ['REPLICA_REFUSED'])
  t.ok(replica.left > 180, `${String(200 - replica.left)} attempts`)
})
