/**
 * A name that passes to another object between the taking of the marks, or of a walk by change time, and the look at it: on the replica the
 * name is the first object yet, which may have further names. Nothing of the other one may be written into that.
 */
import t from 'tap'
import type { Change, ChangeSource } from '../../../src/capture/change-source.ts'
import type { Clock } from '../../../src/clock/clock.ts'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { createReplicator, type Replicator } from '../../../src/replication/replicator.ts'
import type { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { TreeStream } from '../../tree-stream.ts'
import { changingMeanwhile, cyclesClock, describe, directory, file, LARGE_BYTES, link, type LiveSource, metadata, mirroredTrees, path, rename, SIGNAL, write } from './live-source.ts'

const chmod = (at: string): FileOperation => ({ kind: 'metadata', path: path(at), metadata: metadata(0o600, 'v') })

/** A capture that answers as `source`'s, but for some of its answers. */
function capture({ changes }: LiveSource, answers: Partial<ChangeSource>): ChangeSource {
  return new Proxy<ChangeSource>(changes, {
    get: (target, key): unknown => {
      const own: unknown = Reflect.get(answers, key) ?? Reflect.get(target, key)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

/** So many marks have come that they are not told. */
const TOO_MANY: Partial<ChangeSource> = { peek: async () => [{ kind: 'rescan', volume: 0, sinceMs: 0, atMs: 0, why: [] }] }

/** What is taken first has the path that the object has when `happens` is over: its paths are looked for when the marks were taken. */
function movedWhenTaken({ changes }: LiveSource, happens: () => Promise<void>, from: string, to: string): Partial<ChangeSource> {
  let done = false
  return {
    take: async signal => {
      const taken = await changes.take(signal)
      if (done || taken.length === 0) return taken
      done = true
      await happens()
      return taken.map((change): Change => ((change.kind === 'data' || change.kind === 'metadata') && change.path.equals(path(from)) ? { ...change, path: path(to) } : change))
    },
  }
}

interface Scene { source: LiveSource, replica: MemoryTree }

async function replicate({ source, replica }: Scene, changes: ChangeSource, cycles: number): Promise<void> {
  const { clock, signal } = cyclesClock(cycles)
  const replicatorOf = (of: ChangeSource, time: Clock): Replicator => createReplicator({ volumes: new Map([[0, source.tree]]), changes: of, stream: new TreeStream(new Map([[0, replica]])), clock: time, report: () => undefined })
  if (cycles > 0) await replicatorOf(changes, clock).run(signal)
  await replicatorOf(cycles > 0 ? source.changes : changes, cyclesClock(Infinity).clock).drain({}, SIGNAL)
}

const CHANGES = { data: write, metadata: chmod }
const SIZES = { small: 3, large: LARGE_BYTES }

for (const [what, changing] of Object.entries(CHANGES)) for (const [size, bytes] of Object.entries(SIZES)) for (const linked of [false, true]) for (const tooMany of [false, true]) {
  const title = `${what} of a ${size} file${linked ? ' with two names' : ''}`
  const first = [file('k', 'one', 9), link('name', 'k'), file('new', 'two', bytes), ...linked ? [link('other', 'new')] : []]
  void t.test(`${title} that takes the name of one with another name${tooMany ? ', with very many changes' : ''}`, async t => {
    const scene = await mirroredTrees(first)
    const { source, replica } = scene
    await source.does(changing('new'))
    const answers = movedWhenTaken(source, async () => { await source.does(rename('new', 'name')) }, 'new', 'name')
    await replicate(scene, capture(source, { ...answers, ...tooMany ? TOO_MANY : {} }), 4)
    t.strictSame(await describe(replica), await describe(source.tree))
  })

  void t.test(`${title} whose directory takes the place of one in which a file has another name outside${tooMany ? ', with very many changes' : ''}`, async t => {
    const scene = await mirroredTrees([directory('a'), directory('b'), ...first.slice(0, 1), link('a/f', 'k'), file('b/f', 'two', bytes), ...linked ? [link('other', 'b/f')] : []])
    const { source, replica } = scene
    await source.does(changing('b/f'))
    const answers = movedWhenTaken(source, async () => {
      await source.does({ kind: 'exchange', path: path('a'), to: path('b') })
      // or the name would be looked at again where it is now
      await source.does({ kind: 'remove', path: path('b/f') })
    }, 'b/f', 'a/f')
    await replicate(scene, capture(source, { ...answers, ...tooMany ? TOO_MANY : {} }), 4)
    t.strictSame(await describe(replica), await describe(source.tree))
  })

  if (!tooMany) void t.test(`${title} that takes the name of one with another name as a walk by change time begins`, async t => {
    const scene = await mirroredTrees(first)
    const { source, replica } = scene
    let walks = 0
    const changes = capture(source, {
      settle: async () => {
        if (walks === 0) for (const operation of [changing('new'), rename('new', 'name')]) await source.does(operation)
        return 0n
      },
      // the first walk finds everything, the others nothing
      changedSince: (volume, _, options, signal) => source.changes.changedSince(volume, walks++ === 0 ? 0n : 1n, options, signal),
    })
    await replicate(scene, changes, 0)
    t.ok(walks > 0)
    t.strictSame(await describe(replica), await describe(source.tree))
  })
}

void t.test('where deleted names stay, a name that was a directory and is another file by the time that it is read', async t => {
  const { source, replica } = await mirroredTrees([directory('d'), file('k', 'one', 9), link('d/name', 'k'), file('large', 'two', LARGE_BYTES)])
  await source.does({ kind: 'remove', path: path('d/name') })
  await source.does(directory('d/name'))
  const meanwhile: FileOperation[] = [link('d/name', 'large')]
  let looks = 0
  const tree = changingMeanwhile(source.tree, async () => {
    // the second call reads what the first one has looked at
    const [operation] = looks++ === 1 ? meanwhile.splice(0, 1) : []
    if (operation !== undefined) await source.does(operation)
  })
  await createReplicator({
    volumes: new Map([[0, tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), clock: cyclesClock(Infinity).clock, keepsDeleted: () => true, report: () => undefined,
  }).drain({}, SIGNAL)
  t.strictSame(meanwhile, [])
  t.strictSame(await describe(replica), await describe(source.tree))
})
