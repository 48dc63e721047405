/** SourceTree of a directory of this machine, read through the addon. */
import type { Finding } from '../domain/finding.ts'
import { childPath, display, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { lookAll, readMetadataAll } from '../posix/looks.ts'
import * as posix from '../posix/posix.ts'
import { openSettled } from '../posix/settled.ts'
import { outgoingBodies } from '../wire/body-pool.ts'
import { asListingPage, ListingEntry, listingEntries, type ListingPage } from '../wire/listing-codec.ts'
import { asOperationBatch, type OperationBatch } from '../wire/operation-codec.ts'
import { lookEach, readMetadataOfEach } from './look-each.ts'
import { unreadFinding } from './unread.ts'
import type { DataRange, DigestedDirectory, DirectoriesRead, DirectoryPage, ReadOptions, ReadResult, SeenMetadata, SettledFile, SourceFile, SourceTree, WholeDirectory } from './source-tree.ts'

/** Opens a directory as a source. @throws {AppError} SOURCE_MISSING when there is no such directory, SOURCE_UNREADABLE */
export async function openPosixSourceTree(path: string | Buffer, signal: AbortSignal): Promise<SourceTree> {
  signal.throwIfAborted()
  return new PosixSourceTree(await posix.openTree(path, 'source'))
}

class PosixSourceTree implements SourceTree {
  readonly #tree: posix.TreeHandle

  constructor(tree: posix.TreeHandle) {
    this.#tree = tree
  }

  async* list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> {
    signal.throwIfAborted()
    for await (const page of posix.listDirectory(this.#tree, directory, 'source')) {
      yield asListingPage(page)
      signal.throwIfAborted()
    }
  }

  async* listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> {
    signal.throwIfAborted()
    for await (const listed of posix.listDirectories(this.#tree, directories, 'source')) {
      yield { ...listed, page: asListingPage(listed.page) }
      signal.throwIfAborted()
    }
  }

  async digest(directories: readonly RelPath[], signal: AbortSignal): Promise<readonly DigestedDirectory[]> {
    signal.throwIfAborted()
    return (await posix.digestDirectories(this.#tree, directories)).map(({ digest, files, bytes, subdirectories }) => ({ digest, count: { files, bytes }, subdirectories }))
  }

  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> {
    signal.throwIfAborted()
    const page = await posix.lookAt(this.#tree, path, 'source')
    return page === undefined ? undefined : asListingPage(page)
  }

  async lookAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(ListingEntry | AppError | undefined)[]> {
    signal.throwIfAborted()
    return await orEach(async () => {
      const { page, present } = await lookAll(this.#tree, paths)
      let next = 0
      return paths.map((_, i) => {
        if (present[i] !== 1) return undefined
        const start = next + 4
        next = start + page.readUInt32LE(next)
        return new ListingEntry(page, start, next)
      })
    }, async () => lookEach(this, paths, signal))
  }

  async read(paths: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<ReadResult> {
    signal.throwIfAborted()
    const { batch, taken, large, unread } = await posix.readEntries(this.#tree, paths, options.smallFileBytes, options.maxBatchBytes, options.clean === true)
    return { batch: asOperationBatch(outgoingBodies.adopt(batch)), taken, large, findings: unread.flatMap(one => unreadEntry(paths[one.index], one)) }
  }

  async readDirectories(directories: readonly RelPath[], options: ReadOptions, signal: AbortSignal): Promise<DirectoriesRead> {
    signal.throwIfAborted()
    const whole = await posix.readDirectories(this.#tree, directories, options.smallFileBytes, options.maxBatchBytes)
    const read: WholeDirectory[] = []
    const findings: Finding[] = []
    let start = 0
    for (const [number, { pageEnd, left, files, bytes, settled, unread }] of whole.directories.entries()) {
      const page = asListingPage(whole.pages.subarray(start, pageEnd))
      read.push({ page, left, made: { files, bytes }, settled })
      start = pageEnd
      if (unread.length === 0) continue
      const names = Array.from(listingEntries(page), entry => entry.name)
      for (const one of unread) findings.push(...unreadEntry(pathOf(directories[number], names[one.index]), one))
    }
    return { batch: asOperationBatch(outgoingBodies.adopt(whole.batch)), directories: read, findings }
  }

  async openFile(path: RelPath, signal: AbortSignal): Promise<SourceFile> {
    signal.throwIfAborted()
    const { fd, sizeBytes } = await posix.openFile(this.#tree, path)
    return new PosixSourceFile(this.#tree, fd, path, sizeBytes)
  }

  async openSettled(files: readonly { path: RelPath, ranges: readonly DataRange[] }[], signal: AbortSignal): Promise<(SettledFile | AppError)[]> {
    signal.throwIfAborted()
    const opened = await openSettled(this.#tree, files)
    return files.map(({ path }, i) => {
      const one = opened[i]
      if (one === undefined || one instanceof AppError) return one ?? new AppError('SOURCE_UNREADABLE', `${display(path)} was not opened`)
      return { file: new PosixSourceFile(this.#tree, one.fd, path, one.sizeBytes), extents: one.extents }
    })
  }

  async readMetadata(path: RelPath, signal: AbortSignal): Promise<OperationBatch | undefined> {
    signal.throwIfAborted()
    const batch = await posix.readMetadata(this.#tree, path)
    return batch === undefined ? undefined : asOperationBatch(batch)
  }

  async readMetadataAll(paths: readonly RelPath[], signal: AbortSignal): Promise<(SeenMetadata | AppError | undefined)[]> {
    signal.throwIfAborted()
    return await orEach(async () => {
      const all = await readMetadataAll(this.#tree, paths)
      return all.map(seen => seen === undefined ? undefined : { ...seen, batch: seen.batch === undefined ? undefined : asOperationBatch(seen.batch) })
    }, async () => readMetadataOfEach(this, paths, signal))
  }

  async keepOpen(keep: boolean): Promise<void> {
    await posix.keepOpen(this.#tree, keep)
  }

  [Symbol.asyncDispose](): Promise<void> {
    posix.closeTree(this.#tree)
    return Promise.resolve()
  }
}

/** What one call for all gives; when one of the paths makes it fail, a call for each tells which. */
async function orEach<Found>(all: () => Promise<Found[]>, each: () => Promise<(Found | AppError)[]>): Promise<(Found | AppError)[]> {
  try {
    return await all()
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE') || posix.isLack(error)) throw error
  }
  return await each()
}

/** Undefined where it cannot be addressed: the caller tells of that. */
function pathOf(directory: RelPath | undefined, name: Buffer | undefined): RelPath | undefined {
  return directory === undefined || name === undefined ? undefined : childPath(directory, name)
}

function unreadEntry(path: RelPath | undefined, { errno, offset, length }: { errno: number, offset: number, length: number }): Finding[] {
  return path === undefined ? [] : [unreadFinding(path, posix.errnoName(errno), length === 0 ? undefined : { offset, lengthBytes: length })]
}

class PosixSourceFile implements SourceFile {
  readonly #tree: posix.TreeHandle
  readonly #path: RelPath
  readonly sizeBytes: number
  /** undefined when disposed: the number may then be another file's */
  #fd: number | undefined
  /** calls that still use the descriptor */
  readonly #running = new Set<Promise<unknown>>()

  constructor(tree: posix.TreeHandle, fd: number, path: RelPath, sizeBytes: number) {
    this.#tree = tree
    this.#fd = fd
    this.#path = path
    this.sizeBytes = sizeBytes
  }

  async extents(signal: AbortSignal): Promise<readonly DataRange[]> {
    return await this.#use(signal, fd => posix.dataRanges(fd, this.#path))
  }

  async read(offset: number, lengthBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#use(signal, fd => posix.readFile(fd, this.#path, offset, lengthBytes))
  }

  async readWrites(ranges: readonly DataRange[], signal: AbortSignal): Promise<OperationBatch> {
    const into = outgoingBodies.take(ranges.reduce((sum, { lengthBytes }) => sum + posix.WRITE_HEAD_BYTES + this.#path.length + lengthBytes, 0))
    const used = await this.#use(signal, fd => posix.readWrites(fd, this.#path, ranges, into))
    return asOperationBatch(into.subarray(0, used))
  }

  async blockHashes(offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#use(signal, fd => posix.blockHashes(fd, this.#path, offset, lengthBytes, blockBytes))
  }

  async clean(offset: number, lengthBytes: number, signal: AbortSignal): Promise<void> {
    await this.#use(signal, fd => posix.cleanRange(fd, this.#path, offset, lengthBytes))
  }

  async metadata(signal: AbortSignal): Promise<OperationBatch> {
    return asOperationBatch(await this.#use(signal, fd => posix.fileMetadata(this.#tree, fd, this.#path)))
  }

  async #use<T>(signal: AbortSignal, work: (fd: number) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#fd === undefined) throw new TypeError(`${display(this.#path)} is closed`)
    const running = work(this.#fd)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd === undefined) return
    await Promise.allSettled(this.#running)
    posix.closeFile(this.#tree, fd)
  }
}
