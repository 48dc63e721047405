/**
 * Files with flags (`chattr`) where boot fix-ups and the replica's own tools write: /etc and /boot. Those that are locked (`+i`, `+a`) are unlocked on the layer,
 * and on the volumes while what the layer holds is brought there or taken back; behind it all have their flags again. The tree is hostile: no link is followed.
 */
import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { LOCKS, readFlags, writeFlags } from '../posix/flags.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'

/** The path is below the root of the volume, without a slash before it. */
export interface FlaggedFile { path: string, flags: number }

const PLACES = ['/etc', '/boot'] as const
const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
const DIRECTORY = OPEN | constants.O_DIRECTORY
/** Deeper than any configuration lies. */
const MAX_DEPTH = 32

/** The files and directories of the volume that have flags, those of a directory behind it. FAT has none that are meant. */
export async function flaggedFiles({ volume, mountPoint }: Pick<MountedVolume, 'volume' | 'mountPoint'>): Promise<FlaggedFile[]> {
  const { type } = volume.volume.fileSystem
  const at = volume.volume.mountPoint
  if (type === 'vfat' || at === undefined) return []
  const found: FlaggedFile[] = []
  for (const place of PLACES) {
    const inside = at === '/' ? place.slice(1) : place.startsWith(`${at}/`) ? place.slice(at.length + 1) : at === place || at.startsWith(`${place}/`) ? '' : undefined
    if (inside === undefined) continue
    const start = await openBelow(mountPoint, inside, DIRECTORY)
    if (start !== undefined) await look(start, inside, 0, found)
  }
  return found
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

/** Closes the directory. Names that are no UTF-8 are left out: none of ours or the system's are. */
async function look(directory: FileHandle, path: string, depth: number, found: FlaggedFile[]): Promise<void> {
  try {
    const flags = await readFlags(directory.fd, path)
    if (flags !== 0) found.push({ path, flags })
    for (const entry of await readdir(`/proc/self/fd/${String(directory.fd)}`, { withFileTypes: true })) {
      if ((!entry.isFile() && !entry.isDirectory()) || entry.name.includes('\ufffd')) continue
      const inside = path === '' ? entry.name : `${path}/${entry.name}`
      const handle = await openIn(directory, entry.name, entry.isDirectory() ? DIRECTORY : OPEN)
      if (handle === undefined) continue
      if (entry.isDirectory()) {
        if (depth < MAX_DEPTH) await look(handle, inside, depth + 1, found)
        else await handle.close()
        continue
      }
      try {
        const own = await readFlags(handle.fd, inside)
        if (own !== 0) found.push({ path: inside, flags: own })
      } finally {
        await handle.close()
      }
    }
  } finally {
    await directory.close()
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
