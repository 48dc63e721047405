/**
 * A target tree that has a folder for what is set aside: `set-aside` copies path, and all below it, faithfully into the folder under the same
 * path, sees that the copy survives a power loss, and only then removes it from the replica. Whatever happens in between, it is in one of the
 * two places. What could not be copied stays on the replica, and nothing that comes later in its place is applied.
 */
import type { FileOperation } from '../domain/file-operation.ts'
import { childPath, display, parentOf, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { listingEntries, type DirectoryDigest, type ListingEntry, type ListingPage } from '../wire/listing-codec.ts'
import { asOperationBatch, decodeOperations, encodeOperation, operationSlices, type OperationBatch, type OperationSlice } from '../wire/operation-codec.ts'
import type { DirectoryPage, SourceTree } from './source-tree.ts'
import type { ApplyFailure, ApplyResult, TargetTree } from './target-tree.ts'

export interface SetAsideParts {
  target: TargetTree
  /** the same replica, for reading */
  replica: SourceTree
  /** makes a folder of this run's own, when it is needed first */
  openFolder: (signal: AbortSignal) => Promise<TargetTree>
}

const READ_OPTIONS = { smallFileBytes: 256 * 1024, maxBatchBytes: 1024 * 1024 }
const PIECE_BYTES = 512 * 1024

/** Disposing disposes of all its parts. */
export class SetAsideTree implements TargetTree {
  readonly #parts: SetAsideParts
  #folder: TargetTree | undefined
  /** directories that the folder has */
  readonly #made = new Set<string>()
  /** first names of objects with several, so that they are one in the folder too */
  readonly #links = new Map<bigint, RelPath>()
  /** attributes that the folder's file system does not hold */
  readonly #lost: ApplyFailure[] = []
  /** what could not be set aside and must not be written over */
  readonly #stuck = new Set<string>()

  constructor(parts: SetAsideParts) {
    this.#parts = parts
  }

  async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> {
    const slices = [...operationSlices(batch)]
    if (this.#stuck.size === 0 && slices.every(({ kind }) => kind !== 'set-aside')) return await this.#parts.target.apply(batch, signal)
    const total: { operations: number, bytesWritten: number, failures: ApplyFailure[] } = { operations: slices.length, bytesWritten: 0, failures: [] }
    for (let at = 0; at < slices.length;) {
      const aside = slices[at]?.kind === 'set-aside'
      const end = slices.findIndex((slice, i) => i >= at && (slice.kind === 'set-aside') !== aside)
      const run = slices.slice(at, end < 0 ? slices.length : end)
      if (aside) total.failures.push(...await this.#setAside(run, at, signal))
      else total.bytesWritten += await this.#applyRun(run, at, total.failures, signal)
      at += run.length
    }
    return total
  }

  list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> { return this.#parts.target.list(directory, signal) }
  listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> { return this.#parts.target.listAll(directories, signal) }
  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> { return await this.#parts.target.look(path, signal) }
  async same(directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> { return await this.#parts.target.same(directories, signal) }
  async blockHashes(path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#parts.target.blockHashes(path, offset, lengthBytes, blockBytes, signal)
  }

  async flush(signal: AbortSignal): Promise<void> { await this.#parts.target.flush(signal) }
  async readMirrorMark(signal: AbortSignal): Promise<string | undefined> { return await this.#parts.target.readMirrorMark(signal) }
  async writeMirrorMark(value: string | undefined, durable: boolean, signal: AbortSignal): Promise<boolean> { return await this.#parts.target.writeMirrorMark(value, durable, signal) }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder?.[Symbol.asyncDispose]()
    await this.#parts.replica[Symbol.asyncDispose]()
    await this.#parts.target[Symbol.asyncDispose]()
  }

  async #applyRun(run: readonly OperationSlice[], base: number, failures: ApplyFailure[], signal: AbortSignal): Promise<number> {
    const free = run.map((slice, i) => ({ slice, index: base + i })).filter(({ slice, index }) => {
      if (!this.#isStuck(slice.path)) return true
      failures.push({ index, kind: slice.kind, path: slice.path, errno: 'EEXIST', what: 'it could not be set aside and stays', message: `${display(slice.path)} could not be set aside and stays`, partial: false })
      return false
    })
    if (free.length === 0) return 0
    const result = await this.#parts.target.apply(asOperationBatch(Buffer.concat(free.map(({ slice }) => slice.bytes))), signal)
    for (const failure of result.failures) failures.push({ ...failure, index: free[failure.index]?.index ?? base })
    return result.bytesWritten
  }

  #isStuck(path: RelPath): boolean {
    if (this.#stuck.size === 0) return false
    for (let at = path; at.length > 0; at = parentOf(at)) if (this.#stuck.has(at.toString('latin1'))) return true
    return false
  }

  /** Copies all, has the copies flushed, and removes what was copied. */
  async #setAside(run: readonly OperationSlice[], base: number, signal: AbortSignal): Promise<ApplyFailure[]> {
    const failures: ApplyFailure[] = []
    const copied: { path: RelPath, index: number }[] = []
    const failed = (path: RelPath, index: number, error: AppError): void => {
      this.#stuck.add(path.toString('latin1'))
      failures.push({ index, kind: 'set-aside', path, errno: errnoOf(error), what: '', message: `cannot set ${display(path)} aside: ${error.message}`, partial: false })
    }
    for (const [i, { path: given }] of run.entries()) {
      const path = Buffer.from(given) as RelPath
      try {
        await this.#copy(path, signal)
        failures.push(...this.#lost.splice(0).map(lost => ({ ...lost, index: base + i })))
        copied.push({ path, index: base + i })
      } catch (error) {
        if (!isAppError(error)) throw error
        failed(path, base + i, error)
      }
    }
    try {
      await this.#folder?.flush(signal)
    } catch (error) {
      if (!isAppError(error)) throw error
      for (const { path, index } of copied) failed(path, index, error)
      return failures
    }
    for (const { path, index } of copied) {
      const { failures: refused } = await this.#parts.target.apply(encodeOperation({ kind: 'remove', path }), signal)
      for (const failure of refused) failures.push({ ...failure, index })
    }
    return failures
  }

  async #copy(path: RelPath, signal: AbortSignal): Promise<void> {
    const page = await this.#parts.replica.look(path, signal)
    if (page === undefined || path.length === 0) return
    this.#folder ??= await this.#parts.openFolder(signal)
    await this.#makeAbove(path, signal)
    for (const entry of listingEntries(page)) await this.#copyEntry(path, entry, signal)
  }

  /** Makes the directories above, as they are on the replica. */
  async #makeAbove(path: RelPath, signal: AbortSignal): Promise<void> {
    const above = parentOf(path)
    const key = above.toString('latin1')
    if (above.length === 0 || this.#made.has(key)) return
    await this.#makeAbove(above, signal)
    await this.#read(above, signal)
    this.#made.add(key)
  }

  async #copyEntry(path: RelPath, entry: ListingEntry, signal: AbortSignal): Promise<void> {
    const known = entry.type === 'directory' || entry.linkCount < 2 ? undefined : this.#links.get(entry.inode)
    if (known !== undefined) {
      await this.#write(encodeOperation({ kind: 'link', path, existing: known }), signal)
      return
    }
    const isLarge = await this.#read(path, signal)
    if (isLarge) await this.#copyLarge(path, signal)
    if (entry.type === 'directory') await this.#copyBelow(path, signal)
    else if (entry.linkCount > 1) this.#links.set(entry.inode, path)
  }

  async #copyBelow(directory: RelPath, signal: AbortSignal): Promise<void> {
    const { replica } = this.#parts
    for await (const page of replica.list(directory, signal)) {
      for (const entry of listingEntries(page)) {
        const path = childPath(directory, entry.name)
        if (path === undefined) throw new AppError('PATH_INVALID', `a name in ${display(directory)} is longer than can be addressed`)
        await this.#copyEntry(path, entry, signal)
      }
    }
    const metadata = await replica.readMetadata(directory, signal)
    if (metadata !== undefined) await this.#write(metadata, signal)
  }

  /** Copies what is at path, but not what is below it; true when it is a large file, which is still to be copied. */
  async #read(path: RelPath, signal: AbortSignal): Promise<boolean> {
    const { batch, large, findings } = await this.#parts.replica.read([path], READ_OPTIONS, signal)
    const [finding] = findings
    if (finding !== undefined) throw new AppError('REPLICA_WRITE', finding.message)
    if (batch.length > 0) await this.#write(batch, signal)
    return large.length > 0
  }

  async #copyLarge(path: RelPath, signal: AbortSignal): Promise<void> {
    await using file = await this.#parts.replica.openFile(path, signal)
    for (const operation of decodeOperations(await file.metadata(signal))) {
      if (operation.kind !== 'metadata') continue
      const begin: FileOperation = { kind: 'file', path, sizeBytes: file.sizeBytes, complete: false, metadata: operation.metadata, extents: [] }
      await this.#write(encodeOperation(begin), signal)
    }
    for (const { offset, lengthBytes } of await file.extents(signal)) {
      for (let at = offset; at < offset + lengthBytes;) {
        const data = await file.read(at, Math.min(PIECE_BYTES, offset + lengthBytes - at), signal)
        if (data.length === 0) throw new AppError('REPLICA_WRITE', `${display(path)} became shorter while it was copied`)
        await this.#write(encodeOperation({ kind: 'write', path, offset: at, data }), signal)
        at += data.length
      }
    }
    await this.#write(await file.metadata(signal), signal)
  }

  /** @throws {AppError} when the folder does not take all of it; attributes that its file system cannot hold do not keep it from being moved, and are told */
  async #write(batch: OperationBatch, signal: AbortSignal): Promise<void> {
    if (batch.length === 0) return
    const { failures } = await this.#folder?.apply(batch, signal) ?? { failures: [] }
    const failure = failures.find(({ partial }) => !partial)
    if (failure !== undefined) throw new AppError('REPLICA_WRITE', failure.message)
    this.#lost.push(...failures)
  }
}

function errnoOf({ code }: AppError): string {
  return code === 'REPLICA_FULL' ? 'ENOSPC' : code === 'REPLICA_READ_ONLY' ? 'EROFS' : 'EIO'
}
