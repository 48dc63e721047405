/** Replication that is broken off, or loses what it has sent, where names of one object waited for a walk of the volume. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Clock } from '../../../src/clock/clock.ts'
import { AppError, isAppError } from '../../../src/errors/app-error.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import type { OperationBatch } from '../../../src/wire/operation-codec.ts'
import { propertyRuns } from '../../seed.ts'
import { TreeStream } from '../../tree-stream.ts'
import { anyOperation, changingMeanwhile, describe, file, link, mirroredTrees, SIGNAL, write, type LiveSource, type SourceOperation } from './live-source.ts'

/** A link whose other end applies what it got only when it is asked for something, and which ends at a batch: what was not applied by then is lost. */
class LosingStream extends TreeStream {
  #batches = 0
  readonly #endsAt: number
  readonly #onTheWay: (() => Promise<number>)[] = []

  constructor(targets: ConstructorParameters<typeof TreeStream>[0], endsAt: number) {
    super(targets)
    this.#endsAt = endsAt
  }

  override async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    if (batch.length === 0) return this.sent
    if (++this.#batches >= this.#endsAt) throw new AppError('LINK_LOST', 'the link has ended')
    return this.sent + this.#onTheWay.push(async () => super.send(volume, batch, SIGNAL))
  }

  override async whenApplied(): Promise<void> {
    for (const send of this.#onTheWay.splice(0)) await send()
  }

  override async whenDurable(): Promise<void> { await this.whenApplied() }
  override async requestFlush(): Promise<void> { await this.whenApplied() }
  override async* list(...asked: Parameters<TreeStream['list']>): ReturnType<TreeStream['list']> {
    await this.whenApplied()
    yield* super.list(...asked)
  }

  override async hashes(...asked: Parameters<TreeStream['hashes']>): Promise<Buffer> {
    await this.whenApplied()
    return await super.hashes(...asked)
  }
}

/** Time passes between cycles and in walks for names only, so that one walk keeps the next ones waiting. */
function slowWalks({ changes }: LiveSource, between: () => Promise<number>): Clock {
  let now = 1000
  const namesOf = changes.namesOf.bind(changes)
  changes.namesOf = async (...asked) => {
    now += 1000
    return await namesOf(...asked)
  }
  return { now: () => now, sleep: async () => { now += await between() } }
}

interface Broken { first: readonly SourceOperation[], rounds: readonly (readonly SourceOperation[])[], stopAt: number, endsAt: number, goesOn: boolean }

/** Replicates, a round of operations between two cycles, until it is aborted at a look or loses its link; then drains, and compares. */
async function breakOff({ first, rounds, stopAt, endsAt, goesOn }: Broken): Promise<boolean> {
  const { source, replica } = await mirroredTrees(first)
  const over = new AbortController()
  const left = [...rounds]
  const clock = slowWalks(source, async () => {
    const round = left.shift()
    for (const operation of round ?? []) await source.does(operation)
    if (round === undefined) over.abort()
    // in the last one walks are allowed again
    return left.length === 0 ? 1_000_000 : 1
  })
  let looks = 0
  const tree = changingMeanwhile(source.tree, async () => {
    await Promise.resolve()
    if (++looks === stopAt) over.abort()
  })
  const targets = new Map([[0, replica]])
  const losing = new LosingStream(targets, endsAt)
  const options = { volumes: new Map([[0, tree]]), changes: source.changes, report: () => undefined, clock }
  const replicator = createReplicator({ ...options, stream: losing })
  const broken = await replicator.run(over.signal).then(() => looks >= stopAt, (error: unknown) => {
    if (!isAppError(error, 'LINK_LOST')) throw error
    return true
  })
  for (const operation of left.flat()) await source.does(operation)
  const mayGoOn = goesOn && endsAt === Infinity
  await (mayGoOn ? replicator : createReplicator({ ...options, stream: new TreeStream(targets) })).drain({}, SIGNAL)
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
  return broken
}

/** the second link finds no walk allowed, and its names are made one in the last cycle, for which no change of them is there any more */
const WAITED = { first: [file('a'), file('c')], rounds: [[link('d', 'c')], [link('b', 'a')], [write('a')], [], [write('c')]] }

for (const goesOn of [true, false]) {
  t.test(`names that waited for a walk become one object, wherever they are broken off, ${goesOn ? 'by who goes on' : 'by who comes after'}`, async () => {
    for (let stopAt = 1; await breakOff({ ...WAITED, stopAt, endsAt: Infinity, goesOn }); stopAt++);
  })
}

t.test('names that waited for a walk become one object, wherever the link is lost', async t => {
  let endsAt = 1
  while (await breakOff({ ...WAITED, stopAt: Infinity, endsAt, goesOn: false })) endsAt++
  t.ok(endsAt > 5, `it had ${String(endsAt)} batches`)
})

t.test('for any changes between cycles, broken off anywhere, the replica equals the source after the drain', async () => {
  const anyLink = anyOperation.filter(({ kind }) => kind === 'link' || kind === 'write')
  await fc.assert(fc.asyncProperty(fc.record({
    first: fc.array(anyOperation, { maxLength: 15 }), rounds: fc.array(fc.array(fc.oneof(anyOperation, anyLink), { maxLength: 5 }), { minLength: 2, maxLength: 6 }),
    stopAt: fc.oneof(fc.nat({ max: 120 }), fc.constant(Infinity)), endsAt: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(Infinity)), goesOn: fc.boolean(),
  }), async broken => { await breakOff(broken) }), propertyRuns(500))
})
