import t from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import type { RelPath } from '../../../src/domain/rel-path.ts'
import type { MirrorProgress } from '../../../src/domain/progress.ts'
import { mirrorVolumes } from '../../../src/mirror/mirrorer.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { MirrorRequest } from '../../../src/wire/messages.ts'
import { TreeStream } from '../../tree-stream.ts'
import { apply, describeTree, directory, file, link, metadata, rel, remove } from '../../zoo/tree-pair.ts'

const TREE = [directory('a'), file('a/1', 'one'), directory('a/b'), file('a/b/2', 'two'), directory('c'), file('c/3', 'three'), file('c/4', 'four'), directory('empty'), file('top', 'top')]
const SETTLED = ['empty', 'c', 'a/b', 'a', ''].map(path => metadata(path, { mode: 0o750 }))

/** Notes which directories were listed entry by entry. */
class Watched extends TreeStream {
  readonly listed: string[] = []
  override async* list(...args: Parameters<TreeStream['list']>): ReturnType<TreeStream['list']> {
    this.listed.push(...args[1].map(path => path.toString()))
    yield* super.list(...args)
  }
}

async function mirror(source: MemoryTree, replica: MemoryTree, request: Partial<MirrorRequest> = {}): Promise<{ listed: string[], progress: MirrorProgress }> {
  const stream = new Watched(new Map([[0, replica]]))
  const progress = await mirrorVolumes({
    volumes: new Map([[0, source]]), stream, request: { compare: 'attributes', orphans: 'delete', ...request }, report: () => undefined, clock: systemClock,
  }, AbortSignal.timeout(10_000))
  return { listed: stream.listed.sort(), progress }
}

async function equal(): Promise<{ source: MemoryTree, replica: MemoryTree }> {
  const source = new MemoryTree()
  await apply(source, ...TREE, ...SETTLED)
  const replica = new MemoryTree()
  await mirror(source, replica)
  return { source, replica }
}

t.test('directories that did not change are counted and not listed', async t => {
  const { source, replica } = await equal()
  const { listed, progress } = await mirror(source, replica)
  t.same(listed, ['empty'], 'a tree in memory has no digest of nothing')
  t.match(progress, { filesFound: 9, filesSkipped: 9, filesDone: 0, bytesFound: progress.bytesSkipped, bytesDone: 0 })
  t.ok(progress.bytesSkipped >= 18)
})

t.test('only the directory that changed is listed, whatever changed in it', async t => {
  const changes: Record<string, { at: RelPath, make: Parameters<typeof apply>[1][] }> = {
    content: { at: rel('a/b'), make: [file('a/b/2', 'twofold')] },
    mode: { at: rel('c'), make: [metadata('c/3', { mode: 0o600 })] },
    vanished: { at: rel('c'), make: [remove('c/3'), metadata('c', { mode: 0o750 })] },
    new: { at: rel('c'), make: [file('c/new', ''), metadata('c', { mode: 0o750 })] },
  }
  for (const [what, { at, make }] of Object.entries(changes)) {
    for (const onReplica of [false, true]) {
      const { source, replica } = await equal()
      await apply(onReplica ? replica : source, ...make)
      const { listed, progress } = await mirror(source, replica)
      t.same(listed.filter(path => path !== 'empty'), [at.toString()], `${what} on the ${onReplica ? 'replica' : 'source'}`)
      t.equal(progress.filesFound, progress.filesDone + progress.filesSkipped)
      t.same(await describeTree(replica), await describeTree(source))
    }
  }
})

t.test('names that belong together on one side only are found', async t => {
  for (const onReplica of [false, true]) {
    const { source, replica } = await equal()
    for (const tree of [source, replica]) await apply(tree, remove('c/4'), file('c/4', 'three'), metadata('c', { mode: 0o750 }))
    await apply(onReplica ? replica : source, remove('c/4'), link('c/4', 'c/3'), metadata('c', { mode: 0o750 }))
    await mirror(source, replica)
    t.same(await describeTree(replica), await describeTree(source))
  }
})

t.test('where data is compared, or all is sent, no digest speaks for the files', async t => {
  for (const compare of ['data', 'none'] as const) {
    const { source, replica } = await equal()
    await apply(replica, file('c/3', 'THREE'), metadata('c', { mode: 0o750 }))
    await mirror(source, replica, { compare })
    t.same(await describeTree(replica), await describeTree(source), compare)
  }
})
