/** TargetTree below a directory of this machine, written through the addon. */
import type { RelPath } from '../domain/rel-path.ts'
import { display, parseRelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { MIRROR_MARK, offerMark, readMark, VOLUME_MARK } from '../posix/marks.ts'
import * as posix from '../posix/posix.ts'
import { asListingPage, type DirectoryDigest, type ListingPage } from '../wire/listing-codec.ts'
import { operationKind, type OperationBatch } from '../wire/operation-codec.ts'
import type { DirectoryPage } from './source-tree.ts'
import type { ApplyFailure, ApplyResult, TargetTree } from './target-tree.ts'

/**
 * Opens an existing directory as the root of a replica. The tree keeps the file system busy until it is disposed.
 * @throws {AppError} REPLICA_ROOT_MISSING when there is no such directory, REPLICA_WRITE when it cannot be opened
 */
export async function openPosixTargetTree(path: string | Buffer, signal: AbortSignal): Promise<TargetTree> {
  signal.throwIfAborted()
  return new PosixTargetTree(await posix.openTree(path, 'replica'))
}

/**
 * Opens the root of a volume, when it is the one that was marked with this id (VolumeStack.mark). Looks before anything is written.
 * @throws {AppError} REPLICA_ROOT_FOREIGN when it bears another id or none, as an empty mount point does; else as openPosixTargetTree
 */
export async function openReplicaVolume(path: string | Buffer, volumeId: string, signal: AbortSignal): Promise<TargetTree> {
  signal.throwIfAborted()
  const tree = await posix.openTree(path, 'replica')
  try {
    const found = await readMark(tree, VOLUME_MARK)
    if (found !== volumeId) {
      throw new AppError('REPLICA_ROOT_FOREIGN', `${display(Buffer.from(path))} is not volume ${volumeId} but ${found === undefined ? 'no marked volume: is it mounted?' : `volume ${JSON.stringify(found)}`}; nothing was written`)
    }
  } catch (error) {
    posix.closeTree(tree)
    throw error
  }
  return new PosixTargetTree(tree)
}

class PosixTargetTree implements TargetTree {
  readonly #tree: posix.TreeHandle

  constructor(tree: posix.TreeHandle) {
    this.#tree = tree
  }

  async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> {
    signal.throwIfAborted()
    const { operations, bytesWritten, failures: failed, ended } = await posix.applyOperations(this.#tree, batch)
    const failures = failed.map(({ index, kind, path, errno, what, partial }): ApplyFailure => {
      const name = posix.errnoName(errno)
      const operation = operationKind(kind)
      return { index, kind: operation, path: parseRelPath(path), errno: name, what, partial, message: `cannot apply "${operation}" to ${display(path)}${what === '' ? '' : ` (${what})`}: ${name}` }
    })
    const last = failures.at(-1)
    if (ended && last !== undefined) throw new AppError(posix.replicaCode(last.errno), last.message)
    return { operations, bytesWritten, failures }
  }

  async* list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> {
    signal.throwIfAborted()
    for await (const page of posix.listDirectory(this.#tree, directory, 'replica')) {
      yield asListingPage(page)
      signal.throwIfAborted()
    }
  }

  async* listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> {
    signal.throwIfAborted()
    for await (const { directory, page, last } of posix.listDirectories(this.#tree, directories, 'replica')) {
      yield { directory, page: asListingPage(page), last }
      signal.throwIfAborted()
    }
  }

  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> {
    signal.throwIfAborted()
    const page = await posix.lookAt(this.#tree, path, 'replica')
    return page === undefined ? undefined : asListingPage(page)
  }

  async same(directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    return await posix.sameDirectories(this.#tree, directories)
  }

  async blockHashes(path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted()
    return await posix.blockHashesAt(this.#tree, path, offset, lengthBytes, blockBytes)
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await posix.flushTree(this.#tree)
  }

  async readMirrorMark(signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted()
    return await readMark(this.#tree, MIRROR_MARK)
  }

  async writeMirrorMark(value: string | undefined, durable: boolean, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    return await offerMark(this.#tree, MIRROR_MARK, value, durable)
  }

  [Symbol.asyncDispose](): Promise<void> {
    posix.closeTree(this.#tree)
    return Promise.resolve()
  }
}
