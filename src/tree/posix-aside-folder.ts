/** The folder into which a run sets orphans aside, on this machine: outside of the replicas, and each run's own. */
import { mkdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { mountHolding, readMounts } from '../posix/mount-table.ts'
import { openPosixTargetTree } from './posix-target-tree.ts'
import type { TargetTree } from './target-tree.ts'

/** Runs that may begin in one second. */
const MAX_TRIES = 1000

/**
 * Makes the folder when it is missing. The trees must not hold it: not by its path, nor through a link or another mount of their file system.
 * @throws {AppError} ORPHANS_FOLDER_INVALID
 */
export async function checkAsideFolder(folder: string, trees: readonly string[]): Promise<void> {
  const bad = (why: string, cause?: unknown): AppError => new AppError('ORPHANS_FOLDER_INVALID', `the orphans' folder ${folder} cannot be used: ${why}`, { cause })
  const existing = await nearest(resolve(folder))
  for (const tree of trees) {
    if (await isInside(existing, await realpath(tree))) throw bad(`it lies in ${tree}`)
  }
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if (!(await stat(folder)).isDirectory()) throw bad('it is no directory')
  } catch (error) {
    throw error instanceof AppError ? error : bad(error instanceof Error ? error.message : String(error), error)
  }
}

/** A new folder in it, by the time, so that nothing of an earlier run is written over. @throws {AppError} ORPHANS_FOLDER_INVALID */
export async function openAsideFolder(folder: string, nowMs: number, signal: AbortSignal): Promise<TargetTree> {
  const name = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z').replaceAll(':', '-')
  for (let number = 1; number <= MAX_TRIES; number++) {
    const path = join(folder, number === 1 ? name : `${name}-${String(number)}`)
    try {
      await mkdir(path, { mode: 0o700 })
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue
      throw new AppError('ORPHANS_FOLDER_INVALID', `cannot make ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    return await openPosixTargetTree(path, signal)
  }
  throw new AppError('ORPHANS_FOLDER_INVALID', `${folder} has too many folders of this second`)
}

/** The nearest directory above, or the path itself, that exists, without links. */
async function nearest(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const found = await realpath(at).catch(() => undefined)
    if (found !== undefined) return found
    if (at === '/') return at
  }
}

async function isInside(path: string, tree: string): Promise<boolean> {
  const root = await stat(tree, { bigint: true })
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at, { bigint: true })
    if (found.dev === root.dev && found.ino === root.ino) return true
    if (at === '/') break
  }
  const [inner, outer] = [await placeOnFileSystem(path), await placeOnFileSystem(tree)]
  return inner !== undefined && inner.device === outer?.device && (inner.path === outer.path || inner.path.startsWith(outer.path === '/' ? '/' : `${outer.path}/`))
}

/** Where a path lies in its file system, whatever part of that is mounted where: a bind mount shows only a part. */
async function placeOnFileSystem(path: string): Promise<{ device: string, path: string } | undefined> {
  const best = mountHolding(await readMounts(), path)
  return best === undefined ? undefined : { device: best.device, path: join(best.root, path.slice(best.mountPoint === '/' ? 0 : best.mountPoint.length)).replace(/(.)\/$/, '$1') }
}
