/**
 * Files with flags (`chattr`) where boot fix-ups and the replica's own tools write: /etc and /boot. Those that are locked (`+i`, `+a`) are unlocked on the layer,
 * and on the volumes while what the layer holds is brought there or taken back; behind it all have their flags again. The tree is hostile: no link is followed.
 */
import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { parseRelPath } from '../domain/rel-path.ts'
import { LOCKS, SETTABLE, writeFlags } from '../posix/flags.ts'
import { closeTree, listDirectories, lookAt, openTree, type TreeHandle } from '../posix/posix.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { asListingPage, listingEntries } from '../wire/listing-codec.ts'

/** The path is below the root of the volume, without a slash before it. */
export interface FlaggedFile { path: string, flags: number }

const PLACES = ['/etc', '/boot'] as const
const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
const DIRECTORY = OPEN | constants.O_DIRECTORY
/** Deeper than any configuration lies. */
const MAX_DEPTH = 32

/** The files and directories of the volume that have flags, those of a directory behind it. FAT has none that are meant. */
export async function flaggedFiles({ volume, mountPoint }: Pick<MountedVolume, 'volume' | 'mountPoint'>, signal: AbortSignal): Promise<FlaggedFile[]> {
  const { type } = volume.volume.fileSystem
  const at = volume.volume.mountPoint
  const found: FlaggedFile[] = []
  if (type === 'vfat' || at === undefined) return found
  const insides = PLACES.flatMap(place => at === '/' ? [place.slice(1)] : place.startsWith(`${at}/`) ? [place.slice(at.length + 1)] : at === place || at.startsWith(`${place}/`) ? [''] : [])
  if (insides.length === 0) return found
  using trees = new DisposableStack()
  const tree = trees.adopt(await openTree(mountPoint, 'source'), closeTree)
  for (const inside of insides) {
    const page = await lookAt(tree, parseRelPath(Buffer.from(inside)), 'source')
    for (const entry of page === undefined ? [] : listingEntries(asListingPage(page))) if (entry.type === 'directory') await look(tree, { path: inside, flags: entry.flags }, found, signal)
  }
  return found
}

/** Level by level, each in one call. Names that are no UTF-8 are left out: none of ours or the system's are. */
async function look(tree: TreeHandle, start: FlaggedFile, found: FlaggedFile[], signal: AbortSignal): Promise<void> {
  add(start, found)
  let level = [start.path]
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: string[] = []
    signal.throwIfAborted()
    for await (const { directory, page } of listDirectories(tree, level.map(path => parseRelPath(Buffer.from(path))), 'source')) {
      for (const { name, type, flags } of listingEntries(asListingPage(page))) {
        if ((type !== 'file' && type !== 'directory') || !isUtf8(name)) continue
        const path = join(level[directory] ?? '', name.toString())
        add({ path, flags }, found)
        if (type === 'directory') next.push(path)
      }
    }
    level = next
  }
}

function add({ path, flags }: FlaggedFile, found: FlaggedFile[]): void {
  if ((flags & SETTABLE) !== 0) found.push({ path, flags: flags & SETTABLE })
}

/** Unlocks those that are locked and (still) there. @param root where the volume, or a view of it, is mounted */
export async function unlock(root: string, files: readonly FlaggedFile[]): Promise<void> {
  await flag(root, files.filter(({ flags }) => (flags & LOCKS) !== 0).map(file => ({ ...file, flags: file.flags & ~LOCKS })))
}

/** Gives those that are there their flags again. */
export async function flag(root: string, files: readonly FlaggedFile[]): Promise<void> {
  for (const { path, flags } of files) {
    const handle = await openBelow(root, path, OPEN)
    if (handle === undefined) continue
    try {
      await writeFlags(handle.fd, path, flags)
    } finally {
      await handle.close()
    }
  }
}

/** Step by step, so that no link leads elsewhere; undefined when it is not there or something else is. */
async function openBelow(root: string, path: string, flags: number): Promise<FileHandle | undefined> {
  const steps = path.split('/').filter(step => step !== '')
  let at = await open(root, DIRECTORY)
  for (const [i, step] of steps.entries()) {
    const next = await openIn(at, step, i === steps.length - 1 ? flags : DIRECTORY).finally(async () => { await at.close() })
    if (next === undefined) return undefined
    at = next
  }
  return at
}

/** undefined also for what may not be opened: a socket, a link. */
async function openIn(directory: FileHandle, name: string, flags: number): Promise<FileHandle | undefined> {
  try {
    const handle = await open(`/proc/self/fd/${String(directory.fd)}/${name}`, flags)
    const stats = await handle.stat()
    if (stats.isFile() || stats.isDirectory()) return handle
    await handle.close()
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(String(error.code))) return undefined
    throw error
  }
}
