/** A source in memory that changes while it is replicated, with the marks and events that the kernel would give, and random changes. */
import fc from 'fast-check'
import { createMemoryChangeSource, type MemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { DirectoryName } from '../../../src/capture/memory-origins.ts'
import type { ChangedObject } from '../../../src/capture/change-source.ts'
import type { ChangedRange } from '../../../src/capture/changed-range.ts'
import type { Clock } from '../../../src/clock/clock.ts'
import type { FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { joinRelPath, nameOf, parentOf, parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import { lookEach, readMetadataOfEach } from '../../../src/tree/look-each.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import type { SourceTree } from '../../../src/tree/source-tree.ts'
import { listingEntries, type ListingEntry } from '../../../src/wire/listing-codec.ts'
import { encodeOperation } from '../../../src/wire/operation-codec.ts'

export const SIGNAL: AbortSignal = new AbortController().signal
/** over the size up to which files travel whole */
export const LARGE_BYTES = 300 * 1024
/** what a write is marked as: it is short here, and begins with a block, or within one */
const BLOCK_BYTES = 4096

export const path = (text: string): RelPath => parseRelPath(Buffer.from(text))
export const metadata = (mode: number, xattr = ''): FileMetadata => ({
  mode, uid: 1, gid: 2, flags: 0, projectId: 0, mtimeNs: 5n, atimeNs: 6n,
  xattrs: xattr === '' ? [] : [{ name: Buffer.from('user.x'), value: Buffer.from(xattr) }],
})

/** How a test makes a file of so many bytes, of which the text is the beginning, writes into it, gives it another name, renames it, and makes a directory. */
export const file = (at: string, text = 'abc', sizeBytes = 3): FileOperation => ({ kind: 'file', path: path(at), sizeBytes, complete: true, metadata: metadata(0o644), extents: [{ offset: 0, data: Buffer.from(text) }] })
export const write = (at: string): FileOperation => ({ kind: 'write', path: path(at), offset: 0, data: Buffer.from('x') })
export const link = (at: string, existing: string): FileOperation => ({ kind: 'link', path: path(at), existing: path(existing) })
export const rename = (from: string, to: string): FileOperation => ({ kind: 'rename', path: path(from), to: path(to) })
export const directory = (at: string): FileOperation => ({ kind: 'directory', path: path(at), metadata: metadata(0o755) })

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
export async function describe(tree: SourceTree): Promise<Record<string, unknown>> {
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

export type SourceOperation = FileOperation | { kind: 'exchange', path: RelPath, to: RelPath }

/** A source in memory whose changes are marked as the kernel would: by directory and name, the directory by identity. */
export class LiveSource {
  readonly tree = new MemoryTree()
  readonly changes: MemoryChangeSource
  #objects: ChangedObject[] = []
  /** where each directory (by inode) is now */
  #directories = new Map<bigint, RelPath>()

  /** @param partSize how many changes are taken at once; left out: all */
  constructor(partSize = Infinity) {
    this.changes = createMemoryChangeSource({
      partSize,
      now: () => 1000,
      // a mark's path is @ with the directory's inode, and the name: found where the directory is now; what was put back has its path
      locate: (_, marked) => {
        const at = identified(marked)
        if (at === undefined) return marked
        const directory = this.#directories.get(at.directory)
        return directory === undefined ? undefined : at.name.equals(Buffer.from('#')) ? directory : joinRelPath(directory, at.name)
      },
      identify: (_, marked) => identified(marked),
      living: {
        placeOf: (_, directory) => {
          const at = this.#directories.get(directory)
          if (at === undefined || at.length === 0) return at === undefined ? undefined : 'root'
          return this.#nameAt(at)
        },
        linkCountOf: (_, object) => this.#objects.filter(({ inode }) => inode === object).length,
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
  async does(operation: SourceOperation): Promise<void> {
    if (operation.kind === 'exchange') {
      await this.#exchange(operation.path, operation.to)
      return
    }
    const before = await entryAt(this.tree, operation.path)
    if (operation.kind === 'rename' && before !== undefined && await this.#refuses(before, operation.to)) return
    const gone = before?.type === 'directory' ? (await everything(this.tree, operation.path)).map(({ path: at, entry }) => ({ entry, name: this.#nameAt(at) })) : []
    const renamed = operation.kind === 'rename' ? [operation.path, operation.to] : [operation.path]
    const names = renamed.map(at => this.#nameAt(at))
    const { failures } = await this.tree.apply(encodeOperation(operation), SIGNAL)
    if (failures.length > 0) return
    await this.refresh()
    const after = await entryAt(this.tree, operation.path)
    const same = before !== undefined && before.inode === after?.inode
    for (const name of names) {
      if (name === undefined) continue
      const kind = !same || operation.kind === 'rename' || operation.kind === 'link' ? 'entry' : after.type === 'file' && operation.kind !== 'metadata' ? 'data' : 'metadata'
      const itself = after?.type === 'directory' && kind === 'metadata'
      const marked = itself ? { directory: after.inode, name: Buffer.from('#') } : name
      const object = kind === 'entry' || itself || after === undefined ? {} : { object: { inode: after.inode, linkCount: after.linkCount } }
      const ranges = kind === 'data' && operation.kind === 'write' ? { ranges: [{ offset: operation.offset - operation.offset % BLOCK_BYTES, lengthBytes: BLOCK_BYTES, sure: true }] } : {}
      this.#mark(kind, marked, { ...object, ...ranges })
    }
    this.#tell(operation.kind, before, after, names, gone)
  }

  /** As rename(2): EISDIR, ENOTDIR, ENOTEMPTY. */
  async #refuses(moved: ListingEntry, to: RelPath): Promise<boolean> {
    const there = await entryAt(this.tree, to)
    if (there === undefined) return false
    return (there.type === 'directory') !== (moved.type === 'directory') || (there.type === 'directory' && (await everything(this.tree, to)).length > 0)
  }

  /** The events about names that the kernel gives for it. */
  #tell(kind: FileOperation['kind'], before: ListingEntry | undefined, after: ListingEntry | undefined, [at, to]: readonly (DirectoryName | undefined)[], gone: readonly { entry: ListingEntry, name: DirectoryName | undefined }[]): void {
    if (at === undefined || before?.inode === after?.inode) return
    const of = (entry: ListingEntry): { volume: number, object: bigint, isDirectory: boolean } => ({ volume: 0, object: entry.inode, isDirectory: entry.type === 'directory' })
    if (kind === 'rename') {
      if (before === undefined || to === undefined) return
      // two names of one object: one goes
      const isMoved = this.#objects.some(({ inode, path: there }) => inode === before.inode && sameName(this.#nameAt(there), to))
      const wasThere = before.type !== 'directory' && before.linkCount > this.#objects.filter(({ inode }) => inode === before.inode).length
      this.changes.tell(isMoved && !wasThere ? { kind: 'moved', ...of(before), from: at, to } : { kind: 'removed', ...of(before), at })
      return
    }
    if (before !== undefined) {
      for (const { entry, name } of gone.toReversed()) if (name !== undefined) this.changes.tell({ kind: 'removed', ...of(entry), at: name })
      this.changes.tell({ kind: 'removed', ...of(before), at })
    }
    if (after !== undefined) this.changes.tell({ kind: 'arrived', ...of(after), at })
  }

  async #exchange(one: RelPath, other: RelPath): Promise<void> {
    const [a, b] = [await entryAt(this.tree, one), await entryAt(this.tree, other)]
    const [at, to] = [this.#nameAt(one), this.#nameAt(other)]
    const aside = path('exchanged')
    if (a === undefined || b === undefined || a.inode === b.inode || at === undefined || to === undefined) return
    if (isBelow(one, other) || isBelow(other, one)) return
    for (const [from, into] of [[one, aside], [other, one], [aside, other]] as const) {
      const { failures } = await this.tree.apply(encodeOperation({ kind: 'rename', path: from, to: into }), SIGNAL)
      if (failures.length > 0) throw new Error('an exchange failed half way')
    }
    await this.refresh()
    // the name aside has touched the root
    const root = await entryAt(this.tree, ROOT_PATH)
    if (root !== undefined) this.#mark('metadata', { directory: root.inode, name: Buffer.from('#') }, {})
    this.#mark('entry', at, {})
    this.#mark('entry', to, {})
    this.changes.tell({ kind: 'moved', volume: 0, object: a.inode, isDirectory: a.type === 'directory', from: at, to })
    this.changes.tell({ kind: 'moved', volume: 0, object: b.inode, isDirectory: b.type === 'directory', from: to, to: at })
  }

  #mark(kind: 'entry' | 'data' | 'metadata', { directory, name }: DirectoryName, object: { object?: { inode: bigint, linkCount: number }, ranges?: readonly ChangedRange[] }): void {
    this.changes.mark({ kind, volume: 0, ...object, path: joinRelPath(path(`@${String(directory)}`), name), atMs: 1000 })
  }

  /** By the identity of its directory. */
  #nameAt(at: RelPath): DirectoryName | undefined {
    if (at.length === 0) return undefined
    const parent = parentOf(at)
    for (const [directory, there] of this.#directories) if (there.equals(parent)) return { directory, name: nameOf(at) }
    return undefined
  }
}

/** A source and its replica as a mirror leaves them: made by the same operations, nothing marked. */
export async function mirroredTrees(operations: readonly SourceOperation[], partSize = Infinity): Promise<{ source: LiveSource, replica: MemoryTree }> {
  const source = new LiveSource(partSize)
  const replica = new MemoryTree()
  for (const operation of operations) {
    if (operation.kind === 'exchange') continue
    for (const tree of [source.tree, replica]) await tree.apply(encodeOperation(operation), SIGNAL)
  }
  await source.refresh()
  return { source, replica }
}

function identified(marked: RelPath): DirectoryName | undefined {
  return marked[0] === 0x40 ? { directory: BigInt(parentOf(marked).subarray(1).toString()), name: nameOf(marked) } : undefined
}

function sameName(a: DirectoryName | undefined, b: DirectoryName): boolean {
  return a?.directory === b.directory && a.name.equals(b.name)
}

function isBelow(at: RelPath, top: RelPath): boolean {
  return at.toString().startsWith(`${top.toString()}/`)
}

/** Lets the source change between any two looks at it. */
export function changingMeanwhile(tree: SourceTree, next: () => Promise<void>): SourceTree {
  const looking: Pick<SourceTree, 'look' | 'readMetadata'> = {
    look: async (at, signal) => { await next(); return await tree.look(at, signal) },
    readMetadata: async (at, signal) => { await next(); return await tree.readMetadata(at, signal) },
  }
  return {
    ...looking,
    lookAll: async (paths, signal) => lookEach(looking, paths, signal),
    readMetadataAll: async (paths, signal) => readMetadataOfEach(looking, paths, signal),
    list: async function* (directory, signal) {
      await next()
      yield* tree.list(directory, signal)
    },
    listAll: async function* (directories, signal) {
      await next()
      yield* tree.listAll(directories, signal)
    },
    digest: async (directories, signal) => { await next(); return await tree.digest(directories, signal) },
    read: async (paths, options, signal) => { await next(); return await tree.read(paths, options, signal) },
    readDirectories: async (directories, options, signal) => { await next(); return await tree.readDirectories(directories, options, signal) },
    openFile: async (at, signal) => { await next(); return await tree.openFile(at, signal) },
    openSettled: async (files, signal) => { await next(); return await tree.openSettled(files, signal) },
    keepOpen: async keep => tree.keepOpen(keep),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** Time passes with each sleep, in which something may happen; the signal aborts after so many. */
export function cyclesClock(cycles: number, between: () => Promise<void> = async () => undefined): { clock: Clock, signal: AbortSignal, stop: () => void } {
  const over = new AbortController()
  let now = 1000
  let left = cycles
  const clock: Clock = {
    now: () => now,
    sleep: async ms => {
      now += ms
      await between()
      left -= 1
      if (left <= 0) over.abort()
    },
  }
  return { clock, signal: over.signal, stop: () => { over.abort() } }
}

const NAMES = ['a', 'b', 'c', 'd'].flatMap(top => [top, `${top}/x`, `${top}/y`, `${top}/x/q`])
const anyPath = fc.constantFrom(...NAMES).map(path)
export const anyRename: fc.Arbitrary<SourceOperation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rename' as const), path: anyPath, to: anyPath }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('exchange' as const), path: anyPath, to: anyPath }) },
)

const anySize = fc.constantFrom(0, 1, 5000, LARGE_BYTES, LARGE_BYTES + 5000)
const anyData = fc.uint8Array({ minLength: 1, maxLength: 8 }).map(bytes => Buffer.from(bytes))
const anyMetadata = fc.record({ mode: fc.constantFrom(0o644, 0o755, 0o600), xattr: fc.constantFrom('', 'v', 'w') }).map(({ mode, xattr }) => metadata(mode, xattr))

export const anyOperation: fc.Arbitrary<SourceOperation> = fc.oneof(
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
  fc.record({ kind: fc.constant('exchange' as const), path: anyPath, to: anyPath }),
  fc.record({ kind: fc.constant('remove' as const), path: anyPath }),
  fc.record({ kind: fc.constant('metadata' as const), path: anyPath, metadata: anyMetadata }),
)
