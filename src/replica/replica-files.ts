/**
 * Files of the assembled replica, read and edited by the boot fix-ups. The tree is the source's and hostile: every step of a path is opened
 * relative to the directory before it and without following links; links are resolved here, below the root, as a program inside it would see
 * them. Only regular files are read. Text is Latin-1, so that bytes that are no UTF-8 come out as they went in.
 */
import { constants, type BigIntStats } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm, statfs, symlink, unlink, type FileHandle } from 'node:fs/promises'
import { AppError } from '../errors/app-error.ts'
import { hashOfChunks } from './file-hash.ts'
import { removeTree } from './remove-tree.ts'
import { DIRECTORY, findPlace, stepsOf, type Place, type ReplicaPath } from './replica-place.ts'

const MAX_TEXT_BYTES = 8 << 20
const COPY_BYTES = 1 << 20
/** of `stat`, whatever the file system's are */
const BLOCK_BYTES = 512

export type { ReplicaPath } from './replica-place.ts'

export class ReplicaFiles implements AsyncDisposable {
  readonly #root: FileHandle
  #changes = 0

  private constructor(root: FileHandle) {
    this.#root = root
  }

  /** @param root the assembled root, a directory of ours */
  static async open(root: string): Promise<ReplicaFiles> {
    return new ReplicaFiles(await open(root, DIRECTORY))
  }

  /** How many changes were attempted through this object so far. */
  get changes(): number {
    return this.#changes
  }

  /** Text of a regular file, links followed; undefined when there is none. @throws {AppError} BOOT_FIXUP_FAILED when it is larger than 8 MiB */
  async text(path: ReplicaPath): Promise<string | undefined> {
    await using place = await findPlace(this.#root, path, 'follow')
    if (place === undefined) return undefined
    const file = await openFile(place, constants.O_RDONLY)
    if (file === undefined) return undefined
    try {
      if ((await file.stat()).size > MAX_TEXT_BYTES) throw new AppError('BOOT_FIXUP_FAILED', `${path} of the replica is larger than any configuration file`)
      return await file.readFile('latin1')
    } finally {
      await file.close()
    }
  }

  /**
   * Puts `text` into the file at `path`, links followed: an existing one keeps its owner, mode and attributes, a new one gets `mode`. Missing
   * directories are made. On disk when it resolves.
   * @throws {AppError} BOOT_FIXUP_FAILED when something else than a regular file is there, or it cannot be written (chattr +i)
   */
  async write(path: ReplicaPath, text: string, mode = 0o644): Promise<void> {
    await this.makeDirectory(parent(path))
    await this.#attempt(`write ${path}`, async () => {
      await using place = await this.#need(path, 'follow')
      const file = await open(`${place.at}/${place.name}`, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode)
      try {
        if (!(await file.stat()).isFile()) throw new AppError('BOOT_FIXUP_FAILED', `${path} of the replica is no regular file`)
        const bytes = Buffer.from(text, 'latin1')
        await file.write(bytes, 0, bytes.length, 0)
        await file.truncate(bytes.length)
        await file.sync()
      } finally {
        await file.close()
      }
    })
  }

  /**
   * Gives the holes of a regular file room of their own; its times stay. Nothing when there is no such file.
   * @param allocate is given a path that leads to the open file, and its size
   * @returns how many bytes more it takes on its disk
   */
  async fillHoles(path: ReplicaPath, allocate: (file: string, sizeBytes: number) => Promise<void>): Promise<number> {
    await using place = await findPlace(this.#root, path, 'follow')
    const file = place === undefined ? undefined : await openFile(place, constants.O_RDWR)
    if (file === undefined) return 0
    try {
      const before = await file.stat()
      const { freeBytes } = await this.space(parent(path))
      if (before.size - before.blocks * BLOCK_BYTES > freeBytes) throw new AppError('BOOT_FIXUP_FAILED', `there is no room for the holes of ${path} on the replica`)
      await this.#attempt(`give ${path} its room`, async () => {
        await allocate(`/proc/${String(process.pid)}/fd/${String(file.fd)}`, before.size)
        await file.utimes(before.atimeMs / 1000, before.mtimeMs / 1000)
        await file.sync()
      })
      return ((await file.stat()).blocks - before.blocks) * BLOCK_BYTES
    } finally {
      await file.close()
    }
  }

  /** Makes a copy of a regular file beside it or elsewhere; replaces what is at `to`. */
  async copy(path: ReplicaPath, to: ReplicaPath): Promise<void> {
    await this.#attempt(`copy ${path} to ${to}`, async () => {
      await using source = await this.#need(path, 'follow')
      await using target = await this.#need(to, 'stay')
      const from = await openFile(source, constants.O_RDONLY)
      if (from === undefined) throw new AppError('BOOT_FIXUP_FAILED', `there is no file ${path} on the replica`)
      try {
        const { mode, uid, gid } = await from.stat()
        await rm(`${target.at}/${target.name}`, { force: true })
        const into = await open(`${target.at}/${target.name}`, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode & 0o7777)
        try {
          await into.chown(uid, gid)
          const buffer = Buffer.alloc(COPY_BYTES)
          for (let position = 0; ;) {
            const { bytesRead } = await from.read(buffer, 0, buffer.length, position)
            if (bytesRead === 0) break
            await into.write(buffer, 0, bytesRead, position)
            position += bytesRead
          }
          await into.sync()
        } finally {
          await into.close()
        }
      } finally {
        await from.close()
      }
    })
  }

  /** Lends a path for programs of ours that leads to the place and to nowhere else, whatever links there are; it ends with `use`. */
  async lend(path: ReplicaPath, use: (at: string) => Promise<void>): Promise<void> {
    await this.#attempt(`use ${path}`, async () => {
      await using place = await this.#need(path, 'stay')
      await use(`${place.at.replace('/self/', `/${String(process.pid)}/`)}/${place.name}`)
    })
  }

  /** Makes the directory and those above it; one that exists stays as it is. */
  async makeDirectory(path: ReplicaPath, mode = 0o755): Promise<void> {
    const steps = stepsOf(path)
    for (let i = 1; i <= steps.length; i++) {
      const sub = `/${steps.slice(0, i).join('/')}`
      if ((await this.kind(sub)) === 'directory') continue
      await this.#attempt(`make directory ${sub}`, async () => {
        await using place = await this.#need(sub, 'follow')
        await mkdir(`${place.at}/${place.name}`, { mode })
      })
    }
  }

  /** Makes a symbolic link; replaces a link or a file. */
  async link(path: ReplicaPath, target: string): Promise<void> {
    await this.makeDirectory(parent(path))
    await this.#attempt(`make link ${path}`, async () => {
      await using place = await this.#need(path, 'stay')
      await rm(`${place.at}/${place.name}`, { force: true })
      await symlink(target, `${place.at}/${place.name}`)
    })
  }

  async rename(path: ReplicaPath, to: ReplicaPath): Promise<void> {
    await this.#attempt(`rename ${path} to ${to}`, async () => {
      await using from = await this.#need(path, 'stay')
      await using into = await this.#need(to, 'stay')
      await rename(`${from.at}/${from.name}`, `${into.at}/${into.name}`)
    })
  }

  /** Removes what is at `path` and below; links are removed, not followed; nothing there is fine. @returns whether something was there */
  async remove(path: ReplicaPath): Promise<boolean> {
    const kind = await this.kind(path, 'stay')
    if (kind === undefined) return false
    await this.#attempt(`remove ${path}`, async () => {
      await using place = await this.#need(path, 'stay')
      await (kind === 'directory' ? removeTree : unlink)(`${place.at}/${place.name}`)
    })
    return true
  }

  /** What is at `path`; undefined when nothing is. */
  async kind(path: ReplicaPath, last: 'follow' | 'stay' = 'follow'): Promise<'file' | 'directory' | 'link' | 'other' | undefined> {
    const stats = await this.stats(path, last)
    if (stats === undefined) return undefined
    return stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'link' : 'other'
  }

  async stats(path: ReplicaPath, last: 'follow' | 'stay' = 'follow'): Promise<BigIntStats | undefined> {
    await using place = await findPlace(this.#root, path, last)
    if (place === undefined) return undefined
    return await lstat(`${place.at}/${place.name}`, { bigint: true }).catch(() => undefined)
  }

  /** Names in a directory, sorted; none when it is missing or no directory. Names that are no UTF-8 are left out: none of ours or the system's are. */
  async names(path: ReplicaPath): Promise<readonly string[]> {
    await using place = await findPlace(this.#root, `${path}/.`, 'follow')
    if (place === undefined) return []
    return (await readdir(place.at).catch(() => [])).filter(name => !name.includes('\ufffd')).sort()
  }

  /** SHA-256 in hex of a regular file, not following a last link; '' when it is none. */
  async hash(path: ReplicaPath): Promise<string> {
    await using place = await findPlace(this.#root, path, 'stay')
    const file = place === undefined ? undefined : await openFile(place, constants.O_RDONLY)
    if (file === undefined) return ''
    try {
      return await hashOfChunks(file.createReadStream({ autoClose: false, highWaterMark: COPY_BYTES }))
    } finally {
      await file.close()
    }
  }

  /** Free space of the file system at `path` for ordinary users, and inodes; -1 inodes where it has no limit. */
  async space(path: ReplicaPath): Promise<{ freeBytes: number, freeInodes: number }> {
    await using place = await this.#need(`${path}/.`, 'follow')
    const s = await statfs(place.at)
    return { freeBytes: s.bavail * s.bsize, freeInodes: s.files === 0 ? -1 : s.ffree }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#root.close()
  }

  async #need(path: ReplicaPath, last: 'follow' | 'stay'): Promise<Place> {
    const place = await findPlace(this.#root, path, last)
    if (place === undefined) throw new AppError('BOOT_FIXUP_FAILED', `there is no directory for ${path} on the replica`)
    return place
  }

  async #attempt(what: string, act: () => Promise<void>): Promise<void> {
    this.#changes++
    try {
      await act()
    } catch (error) {
      if (error instanceof AppError) throw error
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
      throw new AppError('BOOT_FIXUP_FAILED', `cannot ${what} on the replica: ${why}${why === 'EPERM' ? ' (is it immutable? see lsattr)' : ''}`, { cause: error })
    }
  }
}

/** The regular file at the place, or undefined; never waits at a FIFO or opens a device. */
async function openFile(place: Place, flags: number): Promise<FileHandle | undefined> {
  const path = `${place.at}/${place.name}`
  const stats = await lstat(path).catch(() => undefined)
  if (stats?.isFile() !== true) return undefined
  const file = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if ((await file.stat()).isFile()) return file
  await file.close()
  return undefined
}

function parent(path: string): string {
  return `/${stepsOf(path).slice(0, -1).join('/')}`
}
