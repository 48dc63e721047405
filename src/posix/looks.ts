/** Typed face of the addon's looks at many paths in one call (looks.rs). */
import type { RelPath } from '../domain/rel-path.ts'
import { native } from './native.ts'
import { call, packPaths, unreadable, type TreeHandle } from './posix.ts'

/** The entries that are there, in one page, without flags and attributes, and a byte for each path: 1 when it is. @throws {AppError} SOURCE_UNREADABLE */
export async function lookAll(tree: TreeHandle, paths: readonly RelPath[]): Promise<{ page: Buffer, present: Buffer }> {
  return await call(native.lookAll(tree, packPaths(paths)), () => `look at ${String(paths.length)} names`, unreadable)
}

/** What a path led to, and its `metadata` operation; without it the name passed to another object meanwhile. */
export interface SeenMetadata { inode: bigint, linkCount: number, isDirectory: boolean, batch: Buffer | undefined }

const SEEN_BYTES = 14
const IS_GONE = 0
const IS_SENT = 1

/** Of the first of the paths, at least one; undefined where there is nothing. @throws {AppError} SOURCE_UNREADABLE */
export async function readMetadataAll(tree: TreeHandle, paths: readonly RelPath[]): Promise<(SeenMetadata | undefined)[]> {
  const { batch, ends, seen } = await call(native.readMetadataAll(tree, packPaths(paths)), () => `read the metadata of ${String(paths.length)} names`, unreadable)
  let start = 0
  return ends.map((end, i) => {
    const at = i * SEEN_BYTES
    const state = seen.readUInt8(at)
    const bytes = state === IS_SENT ? batch.subarray(start, end) : undefined
    start = end
    return state === IS_GONE ? undefined : { inode: seen.readBigUInt64LE(at + 6), linkCount: seen.readUInt32LE(at + 2), isDirectory: seen.readUInt8(at + 1) === 1, batch: bytes }
  })
}
