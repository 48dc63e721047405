/** Files opened and cleaned together. */
import { display, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { native } from './native.ts'
import { call, closeFile, errnoName, flatRanges, isLack, packPaths, unreadable, type TreeHandle } from './posix.ts'

interface Range { offset: number, lengthBytes: number }

/** `fd` is the caller's, to be given to closeFile once. */
export interface SettledFd { fd: number, sizeBytes: number, extents: Range[] }

/**
 * Opens regular files and writes their ranges' dirty pages back, then tells the sizes and the runs of data in them, in order. For each path by itself a failure:
 * SOURCE_MISSING or SOURCE_UNREADABLE. @throws {AppError} SOURCE_UNREADABLE when the tree is closed, or there are no descriptors or memory for one of them; none is open then
 */
export async function openSettled(tree: TreeHandle, files: readonly { path: RelPath, ranges: readonly Range[] }[]): Promise<(SettledFd | AppError)[]> {
  const ranges = files.flatMap(file => [file.ranges.length, ...flatRanges(file.ranges)])
  const row = await call(native.openSettled(tree, packPaths(files.map(({ path }) => path)), ranges), () => `open ${String(files.length)} files`, unreadable)
  let at = 0
  let lack: AppError | undefined
  const next = (): number => row[at++] ?? 0
  const opened = files.map(({ path }) => {
    const fd = next()
    if (fd < 0) {
      const error = new AppError(unreadable(errnoName(-fd)), `cannot open and write back ${display(path)}: ${errnoName(-fd)}`, { cause: new Error(`errno ${String(-fd)}`) })
      if (isLack(error)) lack = error
      return error
    }
    return { fd, sizeBytes: next(), extents: Array.from({ length: next() }, () => ({ offset: next(), lengthBytes: next() })) }
  })
  if (lack === undefined) return opened
  for (const one of opened) if (!(one instanceof AppError)) closeFile(tree, one.fd)
  throw lack
}
