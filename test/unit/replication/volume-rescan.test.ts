import t from 'tap'
import type { Clock } from '../../../src/clock/clock.ts'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { createReplicator, type Replicator } from '../../../src/replication/replicator.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'
import { describe, LARGE_BYTES, LiveSource, metadata, mirroredTrees, path, SIGNAL } from './live-source.ts'

const FILES = 2001
const file = (at: string, mtimeNs = 5n, sizeBytes = 0): FileOperation => ({ kind: 'file', path: path(at), sizeBytes, complete: true, metadata: { ...metadata(0o644), mtimeNs }, extents: sizeBytes === 0 ? [] : [{ offset: 0, data: Buffer.from('data') }] })

/** Equal trees, large enough for several chunks. */
async function equalTrees(): Promise<{ source: LiveSource, replica: MemoryTree }> {
  return await mirroredTrees([
    ...['a', 'b', 'c'].flatMap((directory): FileOperation[] => [
      { kind: 'directory', path: path(directory), metadata: metadata(0o755) },
      ...Array.from({ length: FILES }, (_, n) => file(`${directory}/${String(n)}`)),
      { kind: 'metadata', path: path(directory), metadata: metadata(0o755) },
    ]),
    { kind: 'metadata', path: path(''), metadata: metadata(0o755) },
  ])
}

/** Time passes with each look at it; `between` is told the number of the pause. */
function busyClock(between: (pause: number) => Promise<void>): Clock {
  let [now, pause] = [10_000, 0]
  return {
    now: () => now += 30,
    sleep: async ms => {
      now += ms
      await between(++pause)
    },
  }
}

/** How often the root was listed: a comparison of the volume begins so. */
function countingRoots(tree: SourceTree, began: () => void): SourceTree {
  return new Proxy(tree, {
    get: (target, name) => {
      if (name === 'list') {
        return (...args: Parameters<SourceTree['list']>) => {
          if (args[0].length === 0) began()
          return target.list(...args)
        }
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    },
  })
}

t.test('what changes while a volume is rescanned is brought over before the rescan is over', async t => {
  const { source, replica } = await equalTrees()
  source.changes.lose(0, 9000)
  const over = new AbortController()
  let seenWhileRescanning = false
  const made: { replicator?: Replicator } = {}
  const clock = busyClock(async pause => {
    if (pause === 1) await source.does(file('new', 7n))
    const rescans = made.replicator?.progress().degraded?.filter(({ kind }) => kind === 'queue-full') ?? []
    seenWhileRescanning ||= rescans.length > 0 && await replica.look(path('new'), SIGNAL) !== undefined
    if (pause > 1 && rescans.length === 0) over.abort()
  })
  made.replicator = createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: () => undefined, clock })
  await made.replicator.run(over.signal)
  t.ok(seenWhileRescanning)
})

t.test('what asks for a rescan while one is under way is joined to one more, which begins when as much time has gone by without one', async t => {
  const { source, replica } = await equalTrees()
  source.changes.lose(0, 9000)
  const over = new AbortController()
  const began: number[] = []
  let ended = 0
  const made: { replicator?: Replicator } = {}
  const clock = busyClock(async pause => {
    if (began.length === 1 && pause < 4) source.changes.lose(0, 9000 + pause)
    if (made.replicator?.progress().degraded?.length === 0) {
      ended++
      if (ended > 20) over.abort()
    }
  })
  made.replicator = createReplicator({
    volumes: new Map([[0, countingRoots(source.tree, () => began.push(clock.now()))]]), changes: source.changes, stream: new TreeStream(new Map([[0, replica]])), report: () => undefined, clock,
  })
  await made.replicator.run(over.signal)
  t.equal(began.length, 2)
})

t.test('a rescan that is broken off is begun again by the next run', async t => {
  const { source, replica } = await equalTrees()
  await source.does(file('c/missed', 9n))
  source.changes.lose(0, 9000)
  const over = new AbortController()
  const stream = new TreeStream(new Map([[0, replica]]))
  const options = { volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => undefined }
  await createReplicator({ ...options, clock: busyClock(async () => { over.abort() }) }).run(over.signal)
  t.ok(source.changes.pending().count > 0, 'it waits')
  const drained = await createReplicator({ ...options, clock: busyClock(async () => undefined) }).drain({}, SIGNAL)
  t.same(drained.progress.degraded, [])
  t.ok(await replica.look(path('c/missed'), SIGNAL))
})

t.test('what the comparison of names hands over is not compared again by change time', async t => {
  const source = new LiveSource()
  const replica = new MemoryTree()
  for (const [tree, mtimeNs] of [[source.tree, 9n], [replica, 5n]] as const) await tree.apply(encodeOperation(file('large', mtimeNs, LARGE_BYTES)), SIGNAL)
  await source.refresh()
  const asked: string[] = []
  class Asked extends TreeStream {
    override async hashes(...args: Parameters<TreeStream['hashes']>): Promise<Buffer> {
      asked.push(args[1].toString())
      return await super.hashes(...args)
    }
  }
  // all change times are after it
  source.changes.lose(0, 1000)
  await createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream: new Asked(new Map([[0, replica]])), report: () => undefined, clock: busyClock(async () => undefined) }).drain({}, SIGNAL)
  t.same(asked, ['large'])
  t.same(await describe(replica), await describe(source.tree))
})
