import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { createReplicator, type Replicator } from '../../../src/replication/replicator.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { decodeOperations, encodeOperation, type OperationBatch } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'
import { anyOperation, anyRename, changingMeanwhile, cyclesClock, describe, directory, file, LARGE_BYTES, link, LiveSource, metadata, mirroredTrees, path, rename, SIGNAL, type SourceOperation } from './live-source.ts'
import { propertyRuns } from '../../seed.ts'

class CountingStream extends TreeStream {
  readonly counts = new Map<string, number>()

  override async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    for (const { kind } of decodeOperations(batch)) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    return await super.send(volume, batch, signal)
  }

  count(kind: FileOperation['kind']): number { return this.counts.get(kind) ?? 0 }
}

const large = (at: string, text: string): FileOperation => file(at, text, LARGE_BYTES)

interface World { source: LiveSource, replica: MemoryTree, stream: CountingStream, findings: string[] }

async function worldOf(first: readonly SourceOperation[]): Promise<World> {
  const { source, replica } = await mirroredTrees(first)
  return { source, replica, stream: new CountingStream(new Map([[0, replica]])), findings: [] }
}

/** Replicates: one cycle in which nothing happens, then one after each step; changes between any two looks come from `meanwhile`. */
async function replicates(world: World, steps: readonly (readonly SourceOperation[])[], meanwhile: SourceOperation[] = [], keeps = false): Promise<void> {
  const { source, stream, findings } = world
  const left = [...steps]
  const cycles = cyclesClock(steps.length + 2, async () => {
    for (const operation of left.shift() ?? []) await source.does(operation)
  })
  let doing = false
  const tree = changingMeanwhile(source.tree, async () => {
    if (doing) return
    doing = true
    const operation = meanwhile.shift()
    if (operation !== undefined) await source.does(operation)
    doing = false
  })
  const replicator: Replicator = createReplicator({
    volumes: new Map([[0, tree]]), changes: source.changes, stream, clock: cycles.clock, keepsDeleted: () => keeps, report: (_, found) => findings.push(...found.map(({ code }) => code)),
  })
  await replicator.run(cycles.signal)
  while (meanwhile.length > 0) await source.does(meanwhile.shift() ?? { kind: 'remove', path: path('a') })
  await createReplicator({ volumes: new Map([[0, tree]]), changes: source.changes, stream, clock: cyclesClock(Infinity).clock, keepsDeleted: () => keeps, report: () => undefined }).drain({}, SIGNAL)
}

const TREE = [directory('a'), directory('a/x'), large('a/x/q', 'one'), large('a/y', 'two'), directory('b'), large('b/y', 'three'), large('f', 'four'), large('g', 'five')]

const CASES: readonly { title: string, steps: SourceOperation[][] }[] = [
  { title: 'a renamed directory', steps: [[rename('a', 'c')]] },
  { title: 'a renamed file', steps: [[rename('f', 'h')]] },
  { title: 'a file moved over another one', steps: [[rename('f', 'g')]] },
  { title: 'a chain of renames', steps: [[rename('a', 'c'), rename('c', 'd'), rename('d', 'b/a')]] },
  { title: 'a swap through a third name', steps: [[rename('a', 't'), rename('b', 'a'), rename('t', 'b')]] },
  { title: 'an exchange of directories', steps: [[{ kind: 'exchange', path: path('a'), to: path('b') }]] },
  { title: 'an exchange of a file and a directory', steps: [[{ kind: 'exchange', path: path('a'), to: path('f') }]] },
  { title: 'a directory and its parent renamed', steps: [[rename('a/x', 'a/z'), rename('a', 'c')]] },
  { title: 'a directory moved into a new one', steps: [[directory('new'), directory('new/er'), rename('a', 'new/er/a')]] },
  { title: 'a directory moved below what was in it', steps: [[rename('a/x', 'x'), rename('a', 'x/a')]] },
  { title: 'a renamed directory with a changed name in it', steps: [[rename('a', 'c'), { kind: 'metadata', path: path('c/y'), metadata: metadata(0o600) }, { kind: 'remove', path: path('c/x/q') }]] },
  { title: 'a directory renamed in each of several cycles', steps: [[rename('a', 'c')], [rename('c', 'd')], [rename('d', 'b/z')]] },
  { title: 'files rescued from a directory that was removed', steps: [[rename('a/y', 'y'), rename('a/x/q', 'q'), { kind: 'remove', path: path('a') }]] },
  { title: 'a file given another name and then its first one taken', steps: [[link('h', 'f'), { kind: 'remove', path: path('f') }]] },
  { title: 'a file with two names of which both are renamed', steps: [[link('h', 'f')], [], [rename('f', 'i'), rename('h', 'j')]] },
]

for (const { title, steps } of CASES) {
  void t.test(`${title}: moved, not sent`, async t => {
    const world = await worldOf(TREE)
    await replicates(world, [[], ...steps])
    t.same(await describe(world.replica), await describe(world.source.tree))
    t.same(world.findings, [])
    t.equal(world.stream.count('file'), 0, 'no file is sent')
    t.ok(world.stream.count('rename') > 0)
    t.equal(world.stream.count('write'), 0)
  })
}

void t.test('where deleted names stay, a renamed file or directory has its new name alone, and what was removed or left one of its names stays', async t => {
  const world = await worldOf([...TREE, link('h', 'g')])
  await replicates(world, [[], [rename('f', 'i'), rename('a', 'c')], [{ kind: 'remove', path: path('b/y') }, { kind: 'remove', path: path('h') }, { kind: 'remove', path: path('c/y') }], [rename('c', 'd')]], [], true)
  const replica = Object.keys(await describe(world.replica)).sort()
  t.same(replica, ['.', 'b', 'b/y', 'd', 'd/x', 'd/x/q', 'd/y', 'g', 'h', 'i'])
  t.equal(world.stream.count('file'), 0, 'nothing is sent again')
  t.same(world.findings, [])
})

void t.test('where deleted names stay, a new file under a name that was another one of an object leaves that object as it was', async t => {
  const world = await worldOf([directory('d'), file('a', 'old'), link('b', 'a'), link('d/c', 'a')])
  await replicates(world, [[], [{ kind: 'remove', path: path('b') }, file('b', 'new'), { kind: 'remove', path: path('d') }, directory('d'), file('d/c', 'two')]], [], true)
  t.same(await describe(world.replica), await describe(world.source.tree))
  t.same(world.findings, [])
})

void t.test('where deleted names stay, those in a directory that was made anew stay, too', async t => {
  const world = await worldOf([directory('d'), file('d/gone'), file('d/stays'), file('d/f')])
  await replicates(world, [[], [{ kind: 'remove', path: path('d') }, directory('d'), file('d/stays', 'new'), directory('d/f')]], [], true)
  const replica = await describe(world.replica)
  t.same(Object.keys(replica).sort(), ['.', 'd', 'd/f', 'd/gone', 'd/stays'])
  t.match(replica, await describe(world.source.tree))
})

void t.test('a file that was renamed and changed is moved, and what changed is sent', async t => {
  const world = await worldOf(TREE)
  await replicates(world, [[], [{ kind: 'write', path: path('f'), offset: 8192, data: Buffer.from('changed') }, rename('f', 'h'), { kind: 'write', path: path('h'), offset: 100_000, data: Buffer.from('again') }]])
  t.same(await describe(world.replica), await describe(world.source.tree))
  t.equal(world.stream.count('file'), 0)
  t.ok(world.stream.bytesSent < 40_000, `${String(world.stream.bytesSent)} bytes`)
})

void t.test('a new object under the name of one that moved away is sent, and the other one moved', async t => {
  const world = await worldOf(TREE)
  await replicates(world, [[], [rename('a', 'old'), directory('a'), large('a/y', 'new')]])
  t.same(await describe(world.replica), await describe(world.source.tree))
  t.equal(world.stream.count('file'), 1)
})

void t.test('what the replica lacks is sent whole where it was moved to', async t => {
  const world = await worldOf(TREE)
  await world.replica.apply(encodeOperation({ kind: 'remove', path: path('a') }), SIGNAL)
  await replicates(world, [[], [rename('a', 'c')]])
  t.same(await describe(world.replica), await describe(world.source.tree))
  t.same(world.findings, [])
})

void t.test('what a crash left in the limbo goes when replication begins', async t => {
  const world = await worldOf(TREE)
  for (const operation of [directory('.landfall-limbo'), large('.landfall-limbo/3', 'left')]) await world.replica.apply(encodeOperation(operation), SIGNAL)
  await replicates(world, [[large('n', 'new')]])
  const { failures } = await world.replica.apply(encodeOperation(link('there', '.landfall-limbo/3')), SIGNAL)
  t.equal(failures[0]?.errno, 'ENOENT')
})

/** What an object is, whatever names it has. */
const contentOf = (said: unknown): unknown => typeof said === 'object' ? { ...said, names: [] } : said

/** A full tree, of which any path of the random changes is a part. */
const RICH = ['a', 'b', 'c', 'd'].flatMap((top, at) => [
  directory(top), at === 2 ? large(`${top}/x`, 'no directory') : directory(`${top}/x`), large(`${top}/y`, `y of ${top}`), large(`${top}/x/q`, `q of ${top}`),
])
const anyStep = fc.array(fc.oneof({ weight: 3, arbitrary: anyRename }, { weight: 2, arbitrary: anyOperation }), { maxLength: 5 })

void t.test('for any tree and any changes between and within cycles the replica equals the source, and what moved is moved', async t => {
  let renames = 0
  await fc.assert(fc.asyncProperty(
    fc.oneof(fc.constant(RICH), fc.array(anyOperation, { maxLength: 20 })), fc.array(anyStep, { minLength: 1, maxLength: 5 }), fc.boolean(), fc.array(fc.oneof(anyRename, anyOperation), { maxLength: 15 }),
    async (first, steps, quiet, meanwhile) => {
      const world = await worldOf(first)
      await replicates(world, [[], ...steps], quiet ? [] : [...meanwhile])
      assert.deepStrictEqual(await describe(world.replica), await describe(world.source.tree))
      assert.deepStrictEqual(world.findings, [])
      renames += world.stream.count('rename')
    }), propertyRuns(1000))
  t.comment(`${String(renames)} renames`)
  t.ok(renames > 0)
})

/** The same, where some files have several names. */
const LINKED = [...RICH, link('b/y', 'a/y'), link('d/x/q', 'a/y'), link('c/y', 'd/y')]
const anyNewFile = fc.constantFrom('a/y', 'b/y', 'c/y', 'd/y', 'd/x/q', 'd/x').map((at): SourceOperation[] => [{ kind: 'remove', path: path(at) }, ...at === 'd/x' ? [directory(at), file('d/x/q', 'new')] : [file(at, 'new')]])

void t.test('where deleted names stay, for any changes between and within cycles the replica has all that the source has, as it is there', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.oneof(anyNewFile, anyStep), { minLength: 1, maxLength: 5 }), fc.array(fc.oneof(anyRename, anyOperation), { maxLength: 10 }),
    async (steps, meanwhile) => {
      const world = await worldOf(LINKED)
      await replicates(world, [[], ...steps], [...meanwhile], true)
      const [source, replica] = [await describe(world.source.tree), await describe(world.replica)]
      assert.deepStrictEqual(Object.keys(source).filter(at => JSON.stringify(contentOf(source[at])) !== JSON.stringify(contentOf(replica[at]))), [])
    }), propertyRuns(500))
})
