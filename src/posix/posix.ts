/**
 * The typed face of the addon for trees of files. Here, and only here, an errno becomes an AppError. It keeps no state and decides nothing;
 * trees and open files are numbers that their owner gives back. All work is done off the main thread. Buffers that are passed in are
 * borrowed until the promise settles; buffers that come back belong to the caller.
 */
import { constants } from 'node:os'
import { display, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import type { NativeApplied, NativePage, NativeRead, NativeWhole } from './native-tree.ts'
import { native } from './native.ts'

declare const treeHandle: unique symbol
/** An open tree. Give it back with closeTree. */
export type TreeHandle = number & { readonly [treeHandle]: true }

/** What Linux's file systems answer besides, which Node has no names for: a damaged file system, a broken medium or none, keys, broken memory. */
const LINUX_ERRNOS = { EUCLEAN: 117, EREMOTEIO: 121, ENOMEDIUM: 123, ENOKEY: 126, EKEYEXPIRED: 127, EKEYREVOKED: 128, EHWPOISON: 133 }
const NAMES = new Map(Object.entries({ ...constants.errno, ...LINUX_ERRNOS }).map(([name, number]) => [number, name]))

/** EIO and the like; `errno 524` for a number that has no name here. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${String(errno)}`
}

/** The errno of an error that the addon rejected with, by name; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  const number = error instanceof Error ? /^errno (\d+)$/.exec(error.message)?.[1] : undefined
  return number === undefined ? undefined : errnoName(Number(number))
}

/** Errnos that mean: there is no such thing (any more), or something else is in its place. */
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ESTALE', 'EXDEV'])
const FULL: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT'])

/** Translates a refusal; `gone` answers for what is not there. For the typed faces of this folder. */
export async function call<T>(work: Promise<T>, attempted: () => string, codeFor: (errno: string) => ErrorCode, gone?: () => T): Promise<T> {
  try {
    return await work
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    if (gone !== undefined && GONE.has(errno)) return gone()
    throw new AppError(codeFor(errno), `cannot ${attempted()}: ${errno}`, { cause: error })
  }
}

export const unreadable = (errno: string): ErrorCode => (GONE.has(errno) ? 'SOURCE_MISSING' : 'SOURCE_UNREADABLE')

const LACK: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOMEM'])

/** Whether it failed for want of descriptors or memory, which says nothing about what was asked for. */
export function isLack(error: AppError): boolean {
  return LACK.has(errnoOf(error.cause))
}

/** The code for an errno that writing to the replica gave. */
export function replicaCode(errno: string): 'REPLICA_FULL' | 'REPLICA_READ_ONLY' | 'REPLICA_WRITE' {
  if (FULL.has(errno)) return 'REPLICA_FULL'
  return errno === 'EROFS' ? 'REPLICA_READ_ONLY' : 'REPLICA_WRITE'
}

/**
 * Opens a directory as a tree: a detached view of its file system in which nested mounts are not seen, and access times stay.
 * @throws {AppError} SOURCE_MISSING or REPLICA_ROOT_MISSING when there is no such directory, else SOURCE_UNREADABLE or REPLICA_WRITE
 */
export async function openTree(path: string | Buffer, side: 'source' | 'replica'): Promise<TreeHandle> {
  const bytes = Buffer.from(path)
  const codes = side === 'source' ? ['SOURCE_MISSING', 'SOURCE_UNREADABLE'] as const : ['REPLICA_ROOT_MISSING', 'REPLICA_WRITE'] as const
  const tree = await call(native.openTree(bytes, side === 'source'), () => `open the directory ${display(bytes)}`, errno => (GONE.has(errno) ? codes[0] : codes[1]))
  return tree as TreeHandle
}

/** Closes the tree when calls that still use it have ended. */
export function closeTree(tree: TreeHandle): void {
  native.closeTree(tree)
}

/** Puts off closing the tree's descriptors, or closes what was put off: see SourceTree.keepOpen. */
export async function keepOpen(tree: TreeHandle, keep: boolean): Promise<void> {
  await call(native.keepOpen(tree, keep), () => 'close files', () => 'INTERNAL')
}

/** The pages of a directory in name order; none when there is no such directory. @throws {AppError} SOURCE_UNREADABLE or REPLICA_WRITE by side */
export async function* listDirectory(tree: TreeHandle, path: RelPath, side: 'source' | 'replica'): AsyncGenerator<Buffer, void, void> {
  const code = (): ErrorCode => (side === 'source' ? 'SOURCE_UNREADABLE' : 'REPLICA_WRITE')
  const attempted = (): string => `list ${display(path)}`
  const none = (): NativePage => ({ page: Buffer.alloc(0), lister: 0 })
  let next = await call(native.listDirectory(tree, path), attempted, code, none)
  let open = next.lister
  try {
    while (next.page.length > 0) {
      yield next.page
      if (open === 0) return
      next = await call(native.nextPage(open), attempted, code)
      open = next.lister
    }
  } finally {
    if (open !== 0) native.closeLister(open)
  }
}

/** Bytes of pages that one call brings. */
const PAGES_BYTES = 1024 * 1024

/** The pages of directories, one directory after the other, each ended by a page that is its last, which tells of one that is unreadable on the source; as listDirectory otherwise. */
export async function* listDirectories(tree: TreeHandle, directories: readonly RelPath[], side: 'source' | 'replica'): AsyncGenerator<{ directory: number, page: Buffer, last: boolean, unreadable?: string }, void, void> {
  for (let directory = 0; directory < directories.length; directory++) {
    const rest = directories.slice(directory)
    const { pages, ends } = await call(native.listDirectories(tree, packPaths(rest), PAGES_BYTES), () => `list ${String(rest.length)} directories`, () => (side === 'source' ? 'SOURCE_UNREADABLE' : 'REPLICA_WRITE'))
    let start = 0
    for (const end of ends) {
      yield { directory, page: pages.subarray(start, end), last: true }
      start = end
      directory++
    }
    const large = directories[directory]
    if (ends.length > 0 || large === undefined) {
      directory--
      continue
    }
    let unreadable: string | undefined
    try {
      for await (const page of listDirectory(tree, large, side)) yield { directory, page, last: false }
    } catch (error) {
      if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
      unreadable = error.message
    }
    yield { directory, page: Buffer.alloc(0), last: true, ...unreadable === undefined ? {} : { unreadable } }
  }
}

/** u16 length and path, one after the other */
export function packPaths(paths: readonly RelPath[]): Buffer {
  const packed = Buffer.allocUnsafe(paths.reduce((sum, path) => sum + 2 + path.length, 0))
  let at = 0
  for (const path of paths) {
    at = packed.writeUInt16LE(path.length, at)
    at += path.copy(packed, at)
  }
  return packed
}

/** A directory's listing as 16 bytes, undefined where these do not tell enough, its entries, and its subdirectories' names. */
export interface DigestedDirectory { digest: Buffer | undefined, files: number, bytes: number, subdirectories: Buffer[] }

const DIGEST_BYTES = 16

/** @throws {AppError} SOURCE_UNREADABLE */
export async function digestDirectories(tree: TreeHandle, directories: readonly RelPath[]): Promise<DigestedDirectory[]> {
  const { digests, counts, names, ends } = await call(native.digestDirectories(tree, packPaths(directories)), () => `list ${String(directories.length)} directories`, unreadable)
  let start = 0
  return directories.map((_, i) => {
    const subdirectories: Buffer[] = []
    const end = ends[i] ?? start
    while (start < end) {
      const next = start + 1 + names.readUInt8(start)
      subdirectories.push(names.subarray(start + 1, next))
      start = next
    }
    const at = i * (1 + DIGEST_BYTES)
    const digest = digests[at] === 1 ? digests.subarray(at + 1, at + 1 + DIGEST_BYTES) : undefined
    return { digest, files: counts[2 * i] ?? 0, bytes: counts[2 * i + 1] ?? 0, subdirectories }
  })
}

/** Whether the directories have these digests, a byte for each: 1 or 0. @throws {AppError} REPLICA_WRITE */
export async function sameDirectories(tree: TreeHandle, directories: readonly { path: RelPath, digest: Buffer }[]): Promise<Buffer> {
  const asked = Buffer.allocUnsafe(directories.reduce((sum, { path }) => sum + DIGEST_BYTES + 2 + path.length, 0))
  let at = 0
  for (const { path, digest } of directories) {
    at += digest.copy(asked, at, 0, DIGEST_BYTES)
    at = asked.writeUInt16LE(path.length, at)
    at += path.copy(asked, at)
  }
  return await call(native.sameDirectories(tree, asked), () => `list ${String(directories.length)} directories`, () => 'REPLICA_WRITE')
}

/** A page with the entry at path. @throws {AppError} SOURCE_UNREADABLE or REPLICA_WRITE by side */
export async function lookAt(tree: TreeHandle, path: RelPath, side: 'source' | 'replica'): Promise<Buffer | undefined> {
  return await call(native.lookAt(tree, path), () => `look at ${display(path)}`, side === 'source' ? unreadable : () => 'REPLICA_WRITE', () => null) ?? undefined
}

/** Operations that create what is at the paths, as far as they are taken. */
export async function readEntries(tree: TreeHandle, paths: readonly RelPath[], smallFileBytes: number, maxBatchBytes: number, clean: boolean): Promise<NativeRead> {
  return await call(native.readEntries(tree, packPaths(paths), smallFileBytes, maxBatchBytes, clean), () => `read ${String(paths.length)} names`, unreadable)
}

/** Directories with all they hold, as far as they are taken; see SourceTree.readDirectories. @throws {AppError} SOURCE_UNREADABLE */
export async function readDirectories(tree: TreeHandle, directories: readonly RelPath[], smallFileBytes: number, maxBatchBytes: number): Promise<NativeWhole> {
  return await call(native.readDirectories(tree, packPaths(directories), smallFileBytes, maxBatchBytes), () => `read ${String(directories.length)} directories`, unreadable)
}

/** The `metadata` operation of what is at path; undefined when it is gone. @throws {AppError} SOURCE_UNREADABLE */
export async function readMetadata(tree: TreeHandle, path: RelPath): Promise<Buffer | undefined> {
  return await call(native.readMetadata(tree, path), () => `read the metadata of ${display(path)}`, unreadable, () => null) ?? undefined
}

/** Opens a regular file for reading. @throws {AppError} SOURCE_MISSING, SOURCE_UNREADABLE */
export async function openFile(tree: TreeHandle, path: RelPath): Promise<{ fd: number, sizeBytes: number }> {
  const { fd, size } = await call(native.openFile(tree, path), () => `open ${display(path)}`, unreadable)
  return { fd, sizeBytes: size }
}

/** Gives back a descriptor of openFile, once. */
export function closeFile(tree: TreeHandle, fd: number): void {
  native.closeFile(tree, fd)
}

/** Reads up to lengthBytes at offset; fewer only at the end. `path` is for the message. @throws {AppError} SOURCE_UNREADABLE */
export async function readFile(fd: number, path: RelPath, offset: number, lengthBytes: number): Promise<Buffer> {
  return await call(native.readFile(fd, offset, lengthBytes), () => `read ${String(lengthBytes)} bytes at ${String(offset)} of ${display(path)}`, () => 'SOURCE_UNREADABLE')
}

/** What a `write` operation takes besides its path and its data. */
export const WRITE_HEAD_BYTES = 20

/**
 * The `write` operations for path of what the file has in the ranges, in `into`, which must have room for the data and, for each range, for WRITE_HEAD_BYTES
 * and the path. Resolves with their length: 0 when all lie behind the end of the file. @throws {AppError} SOURCE_UNREADABLE when any cannot be read
 */
export async function readWrites(fd: number, path: RelPath, ranges: readonly { offset: number, lengthBytes: number }[], into: Buffer): Promise<number> {
  return await call(native.readWrites(fd, path, flatRanges(ranges), into), () => `read ${ranges.map(({ offset, lengthBytes }) => `${String(lengthBytes)} bytes at ${String(offset)}`).join(', ')} of ${display(path)}`, () => 'SOURCE_UNREADABLE')
}

/** Ranges as the addon takes them. For the typed faces of this folder. */
export function flatRanges(ranges: readonly { offset: number, lengthBytes: number }[]): number[] {
  return ranges.flatMap(({ offset, lengthBytes }) => [offset, lengthBytes])
}

/** Runs of data of an open file, in order. @throws {AppError} SOURCE_UNREADABLE */
export async function dataRanges(fd: number, path: RelPath): Promise<{ offset: number, lengthBytes: number }[]> {
  const pairs = await call(native.dataRanges(fd), () => `find the data of ${display(path)}`, () => 'SOURCE_UNREADABLE')
  return Array.from({ length: pairs.length / 2 }, (_, i) => ({ offset: pairs[2 * i] ?? 0, lengthBytes: pairs[2 * i + 1] ?? 0 }))
}

/** BLAKE3 of each block of data in memory, 16 bytes each; the last block may be shorter. On the main thread. */
export function hashBlocks(data: Buffer, blockBytes: number): Buffer {
  return native.hashBlocksOf(data, blockBytes)
}

/** BLAKE3 of each block of the range that the file has, 16 bytes each. @throws {AppError} SOURCE_UNREADABLE */
export async function blockHashes(fd: number, path: RelPath, offset: number, lengthBytes: number, blockBytes: number): Promise<Buffer> {
  return await call(native.blockHashes(fd, offset, lengthBytes, blockBytes), () => `read ${String(lengthBytes)} bytes at ${String(offset)} of ${display(path)}`, () => 'SOURCE_UNREADABLE')
}

/** The same of the regular file at path, empty when there is none. @throws {AppError} REPLICA_WRITE when it cannot be read */
export async function blockHashesAt(tree: TreeHandle, path: RelPath, offset: number, lengthBytes: number, blockBytes: number): Promise<Buffer> {
  return await call(native.blockHashesAt(tree, path, offset, lengthBytes, blockBytes), () => `read ${display(path)}`, () => 'REPLICA_WRITE', () => Buffer.alloc(0))
}

/** Writes the range's dirty pages back and waits. @throws {AppError} SOURCE_UNREADABLE */
export async function cleanRange(fd: number, path: RelPath, offset: number, lengthBytes: number): Promise<void> {
  await call(native.cleanRange(fd, offset, lengthBytes), () => `write back ${display(path)}`, () => 'SOURCE_UNREADABLE')
}

/** The `metadata` operation of an open file, for path. @throws {AppError} SOURCE_UNREADABLE */
export async function fileMetadata(tree: TreeHandle, fd: number, path: RelPath): Promise<Buffer> {
  return await call(native.fileMetadata(tree, fd, path), () => `read the metadata of ${display(path)}`, () => 'SOURCE_UNREADABLE')
}

/** Applies a batch; see NativeApplied for what ended it. @throws {AppError} FRAME_INVALID when the bytes are no operations: nothing was applied */
export async function applyOperations(tree: TreeHandle, batch: Buffer): Promise<NativeApplied> {
  const applied = await call(native.applyOperations(tree, batch), () => 'write to the replica', replicaCode)
  if (applied.invalid !== '') throw new AppError('FRAME_INVALID', `the peer sent operations that cannot be used: ${applied.invalid}`)
  return applied
}

/** Everything applied to the tree survives a power loss when this resolves. @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE */
export async function flushTree(tree: TreeHandle): Promise<void> {
  await call(native.flushTree(tree), () => 'flush the replica', replicaCode)
}

/** syncfs on the file system of a descriptor that the caller keeps open. @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE */
export async function syncFileSystem(fd: number): Promise<void> {
  await call(native.syncFileSystem(fd), () => 'flush the file system', replicaCode)
}
