import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isSystemError, type Report } from './findings.ts'

const MAX_LINKS = 40
const MAX_NAMES = 10_000
const CHUNK_BYTES = 64 * 1024
/** what configuration files may have; more is read only where it is asked for */
const MAX_TEXT_BYTES = 1 << 20

/**
 * Reads files of the source below its root. Links are resolved inside the root, so that an absolute link of a mounted tree never leads to
 * the host. Nothing but regular files is opened. What is missing is undefined; what cannot be read is undefined and a finding. A server
 * that moves directories meanwhile is at worst misread: nothing is written by what is read here.
 */
export class SourceRoot {
  readonly path: string
  readonly #report: Report

  private constructor(path: string, report: Report) {
    this.path = path
    this.#report = report
  }

  /** A root that is no directory is a finding; everything below it is then missing. */
  static async open(root: string, report: Report): Promise<SourceRoot> {
    try {
      const path = await realpath(root)
      if (!(await stat(path)).isDirectory()) report(unreadable('/', `${root} is no directory`))
      return new SourceRoot(path, report)
    } catch (error) {
      if (!isSystemError(error)) throw error
      report(unreadable('/', error.message))
      return new SourceRoot(root, report)
    }
  }

  /** The text of a regular file, at most `maxBytes` of it (a finding when there is more). */
  async text(path: string, maxBytes = MAX_TEXT_BYTES): Promise<string | undefined> {
    const bytes = await this.#attempt(path, async found => readStart(found, maxBytes + 1))
    if (bytes === undefined) return undefined
    if (bytes.length > maxBytes) {
      this.#report({ code: 'FILE_TOO_LARGE', severity: 'warning', subject: path, message: `${path} is larger than ${String(maxBytes)} bytes; the rest was not read`, advice: 'Check the file on the source.' })
    }
    return bytes.subarray(0, maxBytes).toString('utf8').replaceAll('\0', '')
  }

  /** The text of the first of these files that exists. */
  async firstText(paths: readonly string[]): Promise<string | undefined> {
    for (const path of paths) {
      const text = await this.text(path)
      if (text !== undefined) return text
    }
    return undefined
  }

  /** The names in a directory, sorted; empty when there is none. */
  async names(path: string): Promise<string[]> {
    const names = await this.#attempt(path, async found => readdir(found))
    return (names ?? []).slice(0, MAX_NAMES).sort()
  }

  /** The first bytes of a regular file. */
  async start(path: string, bytes: number): Promise<Buffer | undefined> {
    return this.#attempt(path, async found => readStart(found, bytes))
  }

  async isFile(path: string): Promise<boolean> {
    return (await this.#stat(path))?.isFile() ?? false
  }

  async isDirectory(path: string): Promise<boolean> {
    return (await this.#stat(path))?.isDirectory() ?? false
  }

  async #stat(path: string): Promise<Stats | undefined> {
    return this.#attempt(path, async found => lstat(found))
  }

  async #attempt<T>(path: string, read: (found: string) => Promise<T | undefined>): Promise<T | undefined> {
    try {
      const found = await this.#resolve(path)
      return found === undefined ? undefined : await read(found)
    } catch (error) {
      if (!isSystemError(error)) throw error
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') this.#report(unreadable(path, error.message))
      return undefined
    }
  }

  /** The place of `path` on the host with every link resolved inside the root. */
  async #resolve(path: string): Promise<string | undefined> {
    const pending = path.split('/')
    let done: string[] = []
    for (let links = 0; pending.length > 0;) {
      const step = pending.shift()
      if (step === undefined || step === '' || step === '.') continue
      if (step === '..') {
        done.pop()
        continue
      }
      const here = join(this.path, ...done, step)
      if (!(await lstat(here)).isSymbolicLink()) {
        done.push(step)
        continue
      }
      links += 1
      if (links > MAX_LINKS) {
        this.#report(unreadable(path, `${path} goes through too many links`))
        return undefined
      }
      const target = await readlink(here)
      if (target.startsWith('/')) done = []
      pending.unshift(...target.split('/'))
    }
    return join(this.path, ...done)
  }
}

/** At most `maxBytes` of a regular file; undefined for anything else. The size that stat tells is not believed: it is 0 below /proc. */
async function readStart(path: string, maxBytes: number): Promise<Buffer | undefined> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY)
  if (!(await file.stat()).isFile()) return undefined
  const chunks: Buffer[] = []
  for (let length = 0; length < maxBytes;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(CHUNK_BYTES, maxBytes - length)), 0, null, null)
    if (bytesRead === 0) break
    chunks.push(buffer.subarray(0, bytesRead))
    length += bytesRead
  }
  return Buffer.concat(chunks)
}

function unreadable(subject: string, message: string): Parameters<Report>[0] {
  return { code: 'DISCOVERY_INCOMPLETE', severity: 'warning', subject, message, advice: 'Check the file on the source.' }
}
