/** Where a path of the replica leads: each step is opened relative to the directory before it, and links are resolved below the root, as a program inside would see them. */
import { constants } from 'node:fs'
import { lstat, open, readlink, type FileHandle } from 'node:fs/promises'
import { AppError } from '../errors/app-error.ts'

/** A place: an open directory and a name in it ('.' is the directory itself). */
export interface Place extends AsyncDisposable { at: string, name: string }

/** An absolute path as a program in the replica would write it. */
export type ReplicaPath = string

const MAX_LINKS = 40
export const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Walks to the directory that holds the last step. A name that is missing there is still a place; undefined when a directory on the way is.
 * `follow`: the last step may be a link, the place is what it leads to.
 */
export async function findPlace(root: FileHandle, path: ReplicaPath, last: 'follow' | 'stay'): Promise<Place | undefined> {
  const opened: FileHandle[] = []
  const stack: FileHandle[] = [root]
  const todo = stepsOf(path)
  let links = 0
  const current = (): string => `/proc/self/fd/${String((stack.at(-1) ?? root).fd)}`
  const close = async (): Promise<void> => { for (const handle of opened) await handle.close() }
  try {
    for (;;) {
      const step = todo.shift()
      if (step === undefined) return { at: current(), name: '.', [Symbol.asyncDispose]: close }
      if (step === '.') continue
      if (step === '..') {
        if (stack.length > 1) stack.pop()
        continue
      }
      const stats = await lstat(`${current()}/${step}`).catch(() => undefined)
      const isLast = todo.length === 0
      if (stats?.isSymbolicLink() === true && !(isLast && last === 'stay')) {
        if (++links > MAX_LINKS) throw new AppError('BOOT_FIXUP_FAILED', `${path} of the replica has too many links`)
        const target = await readlink(`${current()}/${step}`)
        if (target.startsWith('/')) stack.length = 1
        todo.unshift(...stepsOf(target))
      } else if (isLast) {
        return { at: current(), name: step, [Symbol.asyncDispose]: close }
      } else if (stats?.isDirectory() === true) {
        const handle = await open(`${current()}/${step}`, DIRECTORY)
        opened.push(handle)
        stack.push(handle)
      } else {
        await close()
        return undefined
      }
    }
  } catch (error) {
    await close()
    throw error
  }
}

export function stepsOf(path: string): string[] {
  return path.split('/').filter(step => step !== '')
}
