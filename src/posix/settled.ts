/** Files opened and cleaned together. */
import { display, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { native } from './native.ts'
import { call, errnoName, flatRanges, packPaths, unreadable, type TreeHandle } from './posix.ts'

interface Range { offset: number, lengthBytes: number }

/** `fd` is the caller's, to be given to closeFile once. */
export interface SettledFd { fd: number, sizeBytes: number, extents: Range[] }

/**
 * Opens regular files and writes their ranges' dirty pages back, then tells the sizes and the runs of data in them, in order. For each path by itself a failure:
 * SOURCE_MISSING or SOURCE_UNREADABLE. @throws {AppError} SOURCE_UNREADABLE when the tree is closed
 */
export async function openSettled(tree: TreeHandle, files: readonly { path: RelPath, ranges: readonly Range[] }[]): Promise<(SettledFd | AppError)[]> {
  const ranges = files.flatMap(file => [file.ranges.length, ...flatRanges(file.ranges)])
  const row = await call(native.openSettled(tree, packPaths(files.map(({ path }) => path)), ranges), () => `open ${String(files.length)} files`, unreadable)
  let at = 0
  const next = (): number => row[at++] ?? 0
  return files.map(({ path }) => {
    const fd = next()
    if (fd < 0) return new AppError(unreadable(errnoName(-fd)), `cannot open and write back ${display(path)}: ${errnoName(-fd)}`)
    return { fd, sizeBytes: next(), extents: Array.from({ length: next() }, () => ({ offset: next(), lengthBytes: next() })) }
  })
}
