/** A tree in memory, source and target at once, for tests: the same bytes and the same answers as the trees of a file system. */
import type { FileOperation } from '../domain/file-operation.ts'
import { LIMBO } from '../domain/limbo.ts'
import { display, joinRelPath, nameOf, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { hashBlocks } from '../posix/posix.ts'
import { encodeListing, listingEntries, type DirectoryDigest, type ListedObject, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import { asOperationBatch, decodeOperations, encodeOperation, encodeOperations, joinBatches, type OperationBatch } from '../wire/operation-codec.ts'
import { lookEach, readMetadataOfEach } from './look-each.ts'
import { keyOf, MemoryNodes, Refusal, type MemoryNode } from './memory-node.ts'
import type { DataRange, DigestedDirectory, DirectoriesRead, DirectoryPage, ReadOptions, ReadResult, SeenMetadata, SettledFile, SourceFile, SourceTree, WholeDirectory } from './source-tree.ts'
import type { ApplyFailure, ApplyResult, TargetTree } from './target-tree.ts'
import { unreadFinding } from './unread.ts'

const PAGE_ENTRIES = 256
const BLOCK_BYTES = 4096
/** Directories with more entries are not taken whole; few, so that tests meet it. */
const WHOLE_ENTRIES = 256

export class MemoryTree implements SourceTree, TargetTree {
  readonly #nodes: MemoryNodes
  #mark: string | undefined

  /** @param startNs what its clock shows when it is made; two trees written apart start apart, or a write on each may have the same time */
  constructor(startNs = 0n) {
    this.#nodes = new MemoryNodes(startNs)
  }

  async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> {
    signal.throwIfAborted()
    const operations = [...decodeOperations(asOperationBatch(Buffer.from(batch)))]
    const failures: ApplyFailure[] = []
    let bytesWritten = 0
    for (const [index, operation] of operations.entries()) {
      const { kind, path } = operation
      try {
        this.#nodes.operate(operation)
        bytesWritten += bytesOf(operation)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        failures.push({ index, kind, path, errno: error.errno, what: error.message, partial: error.partial, message: `cannot apply "${kind}" to ${display(path)}${error.message === '' ? '' : ` (${error.message})`}: ${error.errno}` })
      }
    }
    return { operations: operations.length, bytesWritten, failures }
  }

  async* list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> {
    const entries = this.#children(directory)
    for (let at = 0; at < entries.length; at += PAGE_ENTRIES) {
      signal.throwIfAborted()
      yield encodeListing(entries.slice(at, at + PAGE_ENTRIES).map(([name, node]) => listed(Buffer.from(name, 'latin1'), node)))
    }
  }

  async* listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> {
    for (const [directory, path] of directories.entries()) {
      for await (const page of this.list(path, signal)) yield { directory, page, last: false }
      yield { directory, page: encodeListing([]), last: true }
    }
  }

  async digest(directories: readonly RelPath[], signal: AbortSignal): Promise<readonly DigestedDirectory[]> {
    signal.throwIfAborted()
    return directories.map(directory => this.#digest(directory))
  }

  async same(directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    return Buffer.from(directories.map(({ path, digest }) => (this.#digest(path).digest?.equals(digest) === true ? 1 : 0)))
  }

  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> {
    signal.throwIfAborted()
    const node = path.equals(LIMBO) ? undefined : this.#nodes.find(path)
    return node === undefined ? undefined : encodeListing([listed(nameOf(path), node)])
  }

  async lookAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | AppError | undefined)[]> { return await lookEach(this, paths, signal) }
  async readMetadataAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | AppError | undefined)[]> { return await readMetadataOfEach(this, paths, signal) }

  async read(paths: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<ReadResult> {
    signal.throwIfAborted()
    const result: Omit<ReadResult, 'batch'> = { taken: 0, large: [], findings: [] }
    const operations: FileOperation[] = []
    let batchBytes = 0
    for (const path of paths) {
      if (batchBytes >= options.maxBatchBytes) break
      const node = path.length === 0 ? undefined : this.#nodes.find(path)
      if (node === undefined) {
        result.findings.push(unreadFinding(path, 'ENOENT'))
      } else if (node.data.sizeBytes > options.smallFileBytes) {
        result.large.push(result.taken)
      } else {
        operations.push(creating(path, node))
        batchBytes += encodeOperation(creating(path, node)).length
      }
      result.taken += 1
    }
    return { ...result, batch: encodeOperations(operations) }
  }

  async readDirectories(directories: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<DirectoriesRead> {
    signal.throwIfAborted()
    const batches: OperationBatch[] = []
    let batchBytes = 0
    const read: WholeDirectory[] = []
    for (const directory of directories) {
      const found = this.#nodes.find(directory)
      const entries = [...found?.children ?? []].sort(([a], [b]) => (a < b ? -1 : 1))
      if (entries.length > WHOLE_ENTRIES) break
      const left: number[] = []
      const told: ListedObject[] = []
      const made = { files: 0, bytes: 0 }
      const make = (operation: FileOperation): void => { batchBytes += batches[batches.push(encodeOperation(operation)) - 1]?.length ?? 0 }
      for (const [key, node] of entries) {
        const name = Buffer.from(key, 'latin1')
        const entry = listed(name, node)
        const linked = node.type !== 'directory' && node.linkCount > 1
        const isLeft = linked || node.data.sizeBytes > options.smallFileBytes || batchBytes >= 2 * options.maxBatchBytes
        if (isLeft || node.type === 'directory') told.push(entry)
        if (isLeft) {
          left.push(told.length - 1)
          continue
        }
        make(creating(joinRelPath(directory, name), node))
        made.files++
        made.bytes += Math.min(entry.sizeBytes, entry.allocatedBytes)
      }
      if (found !== undefined && entries.length > 0 && left.length === 0) make({ kind: 'metadata', path: directory, metadata: found.metadata })
      read.push({ page: encodeListing(told), left, made, settled: left.length === 0 })
      if (batchBytes >= options.maxBatchBytes) break
    }
    return { batch: joinBatches(batches), directories: read, findings: [] }
  }

  async openFile(path: RelPath, signal: AbortSignal): Promise<MemoryFile> {
    signal.throwIfAborted()
    const node = this.#nodes.find(path)
    if (node?.type !== 'file') throw new AppError('SOURCE_MISSING', `cannot open ${display(path)}: ENOENT`)
    return new MemoryFile(path, node)
  }

  async openSettled(files: readonly { path: RelPath, ranges: readonly DataRange[] }[], signal: AbortSignal): Promise<(SettledFile | AppError)[]> {
    return await Promise.all(files.map(async ({ path, ranges }) => {
      try {
        const file = await this.openFile(path, signal)
        return { file, extents: file.within(ranges) }
      } catch (error) {
        if (error instanceof AppError) return error
        throw error
      }
    }))
  }

  async readMetadata(path: RelPath, signal: AbortSignal): Promise<OperationBatch | undefined> {
    signal.throwIfAborted()
    const node = this.#nodes.find(path)
    return node === undefined ? undefined : encodeOperation({ kind: 'metadata', path, metadata: node.metadata })
  }

  async blockHashes(path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    const node = this.#nodes.find(path)
    return node?.type === 'file' ? hashBlocks(node.data.read(offset, lengthBytes), blockBytes) : Buffer.alloc(0)
  }

  /** In name order. */
  #children(directory: RelPath): [string, MemoryNode][] {
    const all = [...this.#nodes.find(directory)?.children ?? []].filter(([name]) => directory.length > 0 || name !== keyOf(LIMBO))
    return all.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  #digest(directory: RelPath): DigestedDirectory {
    const found = this.#nodes.find(directory)
    const nodes = this.#children(directory)
    const entries = [...listingEntries(encodeListing(nodes.map(([name, node]) => listed(Buffer.from(name, 'latin1'), node))))]
    const isTold = found?.type === 'directory' && !entries.some(entry => entry.type !== 'directory' && entry.linkCount > 1)
    const canonical = Buffer.concat(entries.flatMap(entry => [Buffer.from([entry.name.length]), entry.name, entry.record]))
    return {
      // hashes of nothing are none
      digest: isTold && canonical.length > 0 ? hashBlocks(canonical, canonical.length) : undefined,
      count: { files: entries.length, bytes: entries.reduce((sum, entry) => sum + Math.min(entry.sizeBytes, entry.allocatedBytes), 0) },
      subdirectories: entries.filter(entry => entry.type === 'directory').map(entry => entry.name),
    }
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  async keepOpen(): Promise<void> {
    // nothing is open
  }

  readMirrorMark(): Promise<string | undefined> { return Promise.resolve(this.#mark) }

  writeMirrorMark(value: string | undefined): Promise<boolean> {
    this.#mark = value
    return Promise.resolve(true)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // nothing is held
  }
}

class MemoryFile implements SourceFile {
  readonly #path: RelPath
  #opened: MemoryNode | undefined
  readonly sizeBytes: number

  constructor(path: RelPath, node: MemoryNode) {
    this.#path = path
    this.#opened = node
    this.sizeBytes = node.data.sizeBytes
  }

  get #node(): MemoryNode {
    if (this.#opened === undefined) throw new TypeError(`${display(this.#path)} is closed`)
    return this.#opened
  }

  async extents(signal: AbortSignal): Promise<readonly DataRange[]> {
    signal.throwIfAborted()
    return this.#node.data.ranges()
  }

  async read(offset: number, lengthBytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    return this.#node.data.read(offset, lengthBytes)
  }

  async readWrites(ranges: readonly DataRange[], signal: AbortSignal): Promise<OperationBatch> {
    signal.throwIfAborted()
    return encodeOperations(ranges.flatMap(({ offset, lengthBytes }) => {
      const data = this.#node.data.read(offset, lengthBytes)
      return data.length === 0 ? [] : [{ kind: 'write' as const, path: this.#path, offset, data }]
    }))
  }

  async blockHashes(offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    return hashBlocks(this.#node.data.read(offset, lengthBytes), blockBytes)
  }

  async clean(_offset: number, _lengthBytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  /** the runs of data in the ranges */
  within(ranges: readonly DataRange[]): DataRange[] {
    const { data } = this.#node
    return ranges.flatMap(({ offset, lengthBytes }) => data.ranges().flatMap(run => {
      const from = Math.max(offset, run.offset)
      const to = Math.min(offset + lengthBytes, run.offset + run.lengthBytes)
      return from < to ? [{ offset: from, lengthBytes: to - from }] : []
    }))
  }

  async metadata(signal: AbortSignal): Promise<OperationBatch> {
    signal.throwIfAborted()
    return encodeOperation({ kind: 'metadata', path: this.#path, metadata: this.#node.metadata })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#opened = undefined
  }
}

function bytesOf(operation: FileOperation): number {
  if (operation.kind === 'write') return operation.data.length
  return operation.kind === 'file' ? operation.extents.reduce((sum, extent) => sum + extent.data.length, 0) : 0
}

function listed(name: Buffer, node: MemoryNode): ListedObject {
  const allocatedBytes = node.data.ranges().reduce((sum, range) => sum + Math.ceil(range.lengthBytes / BLOCK_BYTES) * BLOCK_BYTES, 0)
  return {
    name, inode: node.inode, linkCount: node.linkCount, allocatedBytes, ctimeNs: node.ctimeNs, type: node.type, sizeBytes: node.data.sizeBytes,
    deviceMajor: node.deviceMajor, deviceMinor: node.deviceMinor, symlinkTarget: node.target, core: node.metadata,
  }
}

/** The operation that makes node at path. */
function creating(path: RelPath, node: MemoryNode): FileOperation {
  const { type, metadata } = node
  switch (type) {
    case 'directory': return { kind: 'directory', path, metadata }
    case 'symlink': return { kind: 'symlink', path, target: node.target, metadata }
    case 'file': {
      const extents = node.data.ranges().map(({ offset, lengthBytes }) => ({ offset, data: node.data.read(offset, lengthBytes) }))
      return { kind: 'file', path, sizeBytes: node.data.sizeBytes, complete: true, metadata, extents }
    }
    case 'fifo': case 'socket': case 'character': case 'block':
      return { kind: 'node', path, nodeType: type, deviceMajor: node.deviceMajor, deviceMinor: node.deviceMinor, metadata }
  }
}
