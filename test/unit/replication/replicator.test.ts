import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { createMemoryChangeSource, type MemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { ChangedObject } from '../../../src/capture/change-source.ts'
import type { Clock } from '../../../src/clock/clock.ts'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { joinRelPath, nameOf, parentOf, parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'
import { listingEntries, type ListingEntry } from '../../../src/wire/listing-codec.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'
import { TreeStream } from '../../tree-stream.ts'

const SIGNAL = new AbortController().signal
/** over the size up to which files travel whole */
const LARGE_BYTES = 300 * 1024

const path = (text: string): RelPath => parseRelPath(Buffer.from(text))
const metadata = (mode: number, xattr = ''): FileMetadata => ({
  mode, uid: 1, gid: 2, flags: 0, projectId: 0, mtimeNs: 5n, atimeNs: 6n,
  xattrs: xattr === '' ? [] : [{ name: Buffer.from('user.x'), value: Buffer.from(xattr) }],
})

async function entryAt(tree: SourceTree, at: RelPath): Promise<ListingEntry | undefined> {
  const page = await tree.look(at, SIGNAL)
  return page === undefined ? undefined : [...listingEntries(page)][0]
}

interface Seen { path: RelPath, entry: ListingEntry }

async function everything(tree: SourceTree, directory: RelPath = ROOT_PATH): Promise<Seen[]> {
  const found: Seen[] = []
  for await (const page of tree.list(directory, SIGNAL)) {
    for (const entry of listingEntries(page)) {
      const at = joinRelPath(directory, entry.name)
      found.push({ path: at, entry })
      if (entry.type === 'directory') found.push(...await everything(tree, at))
    }
  }
  return found
}

/** All that must be equal: records (times, owner, mode, xattrs, size, target), data, and which names are one object. */
async function describe(tree: SourceTree): Promise<Record<string, unknown>> {
  const all = await everything(tree)
  const root = await entryAt(tree, ROOT_PATH)
  const said: Record<string, unknown> = { '.': root?.record.toString('hex') }
  for (const { path: at, entry } of all) {
    const names = all.filter(other => other.entry.inode === entry.inode).map(other => other.path.toString()).sort()
    let data = ''
    if (entry.type === 'file') {
      await using file = await tree.openFile(at, SIGNAL)
      data = (await file.blockHashes(0, file.sizeBytes, 4096, SIGNAL)).toString('hex')
    }
    said[at.toString()] = { record: entry.record.toString('hex'), data, names }
  }
  return said
}

/** A source in memory whose changes are marked as the kernel would: by directory and name, the directory by identity. */
class LiveSource {
  readonly tree = new MemoryTree()
  readonly changes: MemoryChangeSource
  #objects: ChangedObject[] = []
  /** where each directory (by inode) is now */
  #directories = new Map<bigint, RelPath>()

  constructor() {
    this.changes = createMemoryChangeSource({
      now: () => 1000,
      // a mark's path is @ with the directory's inode, and the name: found where the directory is now; what was put back has its path
      locate: (_, marked) => {
        if (marked[0] !== 0x40) return marked
        const directory = this.#directories.get(BigInt(parentOf(marked).subarray(1).toString()))
        return directory === undefined ? undefined : nameOf(marked).equals(Buffer.from('#')) ? directory : joinRelPath(directory, nameOf(marked))
      },
      // no recent change times: the events alone must do
      objects: () => this.#objects,
    })
  }

  async refresh(): Promise<void> {
    const all = await everything(this.tree)
    const root = await entryAt(this.tree, ROOT_PATH)
    this.#directories = new Map(all.filter(({ entry }) => entry.type === 'directory').map(({ path: at, entry }) => [entry.inode, at]))
    if (root !== undefined) this.#directories.set(root.inode, ROOT_PATH)
    this.#objects = all.map(({ path: at, entry }) => ({ path: at, type: entry.type === 'file' || entry.type === 'directory' ? entry.type : 'other', inode: entry.inode, linkCount: entry.linkCount, ctimeNs: 0n }))
  }

  /** Does it on the source, if it can be done, and marks it. */
  async does(operation: FileOperation): Promise<void> {
    const before = await entryAt(this.tree, operation.path)
    const renamed = operation.kind === 'rename' ? [operation.path, operation.to] : [operation.path]
    const parents = await Promise.all(renamed.map(async at => (await entryAt(this.tree, parentOf(at)))?.inode))
    const { failures } = await this.tree.apply(encodeOperation(operation), SIGNAL)
    if (failures.length > 0) return
    await this.refresh()
    const after = await entryAt(this.tree, operation.path)
    const same = before !== undefined && before.inode === after?.inode
    for (const [index, at] of renamed.entries()) {
      const parent = parents[index]
      if (parent === undefined) continue
      const kind = !same || operation.kind === 'rename' || operation.kind === 'link' ? 'entry' : after.type === 'file' && operation.kind !== 'metadata' ? 'data' : 'metadata'
      const itself = after?.type === 'directory' && kind === 'metadata'
      const marked = itself ? `@${String(after.inode)}/#` : undefined
      const object = kind === 'entry' || itself || after === undefined ? {} : { object: { inode: after.inode, linkCount: after.linkCount } }
      this.changes.mark({ kind, volume: 0, ...object, path: marked === undefined ? joinRelPath(path(`@${String(parent)}`), nameOf(at)) : path(marked), atMs: 1000 })
    }
  }
}

/** Lets the source change between any two looks at it. */
function changingMeanwhile(tree: SourceTree, next: () => Promise<void>): SourceTree {
  return {
    list: async function* (directory, signal) {
      await next()
      yield* tree.list(directory, signal)
    },
    listAll: async function* (directories, signal) {
      await next()
      yield* tree.listAll(directories, signal)
    },
    digest: async (directories, signal) => { await next(); return await tree.digest(directories, signal) },
    look: async (at, signal) => { await next(); return await tree.look(at, signal) },
    read: async (directory, names, options, signal) => { await next(); return await tree.read(directory, names, options, signal) },
    readDirectories: async (directories, options, signal) => { await next(); return await tree.readDirectories(directories, options, signal) },
    openFile: async (at, signal) => { await next(); return await tree.openFile(at, signal) },
    readMetadata: async (at, signal) => { await next(); return await tree.readMetadata(at, signal) },
    keepOpen: async keep => tree.keepOpen(keep),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** Time passes with each sleep; the signal aborts after so many. */
function cyclesClock(cycles: number): { clock: Clock, signal: AbortSignal, stop: () => void } {
  const over = new AbortController()
  let now = 1000
  let left = cycles
  const clock: Clock = {
    now: () => now,
    sleep: async ms => {
      now += ms
      left -= 1
      if (left <= 0) over.abort()
    },
  }
  return { clock, signal: over.signal, stop: () => { over.abort() } }
}

const names = ['a', 'b', 'c', 'd'].flatMap(top => [top, `${top}/x`, `${top}/y`, `${top}/x/q`])
const anyPath = fc.constantFrom(...names).map(path)
const anySize = fc.constantFrom(0, 1, 5000, LARGE_BYTES, LARGE_BYTES + 5000)
const anyData = fc.uint8Array({ minLength: 1, maxLength: 8 }).map(bytes => Buffer.from(bytes))
const anyMetadata = fc.record({ mode: fc.constantFrom(0o644, 0o755, 0o600), xattr: fc.constantFrom('', 'v', 'w') }).map(({ mode, xattr }) => metadata(mode, xattr))

const anyOperation: fc.Arbitrary<FileOperation> = fc.oneof(
  fc.record({ kind: fc.constant('directory' as const), path: anyPath, metadata: anyMetadata }),
  fc.record({ kind: fc.constant('directory' as const), path: anyPath, metadata: anyMetadata }),
  fc.tuple(anyPath, anySize, anyMetadata, anyData).map(([at, size, given, data]) => ({
    kind: 'file' as const, path: at, sizeBytes: size, complete: true, metadata: given, extents: size < 100 ? [] : [{ offset: size - 50, data }],
  })),
  fc.record({ kind: fc.constant('write' as const), path: anyPath, offset: fc.constantFrom(0, 4096, 100_000), data: anyData }),
  fc.record({ kind: fc.constant('punch' as const), path: anyPath, offset: fc.constantFrom(0, 4096), lengthBytes: fc.constant(4096) }),
  fc.record({ kind: fc.constant('resize' as const), path: anyPath, sizeBytes: anySize }),
  fc.record({ kind: fc.constant('symlink' as const), path: anyPath, target: fc.constantFrom('a', 'x/y').map(text => Buffer.from(text)), metadata: anyMetadata }),
  fc.record({ kind: fc.constant('node' as const), path: anyPath, nodeType: fc.constant('fifo' as const), deviceMajor: fc.constant(0), deviceMinor: fc.constant(0), metadata: anyMetadata }),
  fc.record({ kind: fc.constant('link' as const), path: anyPath, existing: anyPath }),
  fc.record({ kind: fc.constant('link' as const), path: anyPath, existing: anyPath }),
  fc.record({ kind: fc.constant('rename' as const), path: anyPath, to: anyPath }),
  fc.record({ kind: fc.constant('rename' as const), path: anyPath, to: anyPath }),
  fc.record({ kind: fc.constant('remove' as const), path: anyPath }),
  fc.record({ kind: fc.constant('metadata' as const), path: anyPath, metadata: anyMetadata }),
)

t.test('for any tree and any changes, between any two looks, and runs aborted anywhere, the replica equals the source after the drain', async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(anyOperation, { maxLength: 20 }), fc.array(fc.array(anyOperation, { maxLength: 8 }), { maxLength: 4 }), fc.array(anyOperation, { maxLength: 25 }),
    fc.array(fc.nat({ max: 40 }), { minLength: 4, maxLength: 4 }),
    async (first, rounds, meanwhile, stops) => {
      const source = new LiveSource()
      const replica = new MemoryTree()
      // what a mirror would have copied: the same operations, unmarked
      for (const operation of first) {
        await source.tree.apply(encodeOperation(operation), SIGNAL)
        await replica.apply(encodeOperation(operation), SIGNAL)
      }
      await source.refresh()
      const pending = [...meanwhile]
      let doing = false
      // looks until the run is aborted, in the middle of a cycle
      let looks = Infinity
      let stop = (): void => undefined
      const tree = changingMeanwhile(source.tree, async () => {
        if (doing) return
        doing = true
        if (--looks === 0) stop()
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
    }), { numRuns: 1500, ...(process.env['FC_SEED'] === undefined ? {} : { seed: Number(process.env['FC_SEED']) }) })
})

t.test('a change that comes while links are settled is not lost when the run is aborted then', async t => {
  const file = (at: string): FileOperation => ({ kind: 'file', path: path(at), sizeBytes: 3, complete: true, metadata: metadata(0o644), extents: [{ offset: 0, data: Buffer.from('abc') }] })
  for (let changeAt = 1; changeAt <= 12; changeAt++) {
    for (let stopAt = changeAt; stopAt <= changeAt + 8; stopAt++) {
      const source = new LiveSource()
      const replica = new MemoryTree()
      for (const tree of [source.tree, replica]) {
        await tree.apply(encodeOperation(file('a')), SIGNAL)
        await tree.apply(encodeOperation(file('gone')), SIGNAL)
      }
      await source.refresh()
      await source.does({ kind: 'link', path: path('b'), existing: path('a') })
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
  const file = (at: string, text: string): FileOperation => ({ kind: 'file', path: path(at), sizeBytes: 3, complete: true, metadata: metadata(0o644), extents: [{ offset: 0, data: Buffer.from(text) }] })
  const source = new LiveSource()
  const replica = new MemoryTree()
  for (const tree of [source.tree, replica]) {
    await tree.apply(encodeOperation(file('a', 'old')), SIGNAL)
    await tree.apply(encodeOperation({ kind: 'link', path: path('b'), existing: path('a') }), SIGNAL)
  }
  await source.refresh()
  await source.does({ kind: 'remove', path: path('b') })
  await source.does(file('b', 'new'))
  const stream = new TreeStream(new Map([[0, replica]]))
  await createReplicator({ volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => undefined, clock: cyclesClock(Infinity).clock }).drain({}, SIGNAL)
  assert.deepStrictEqual(await describe(replica), await describe(source.tree))
})
