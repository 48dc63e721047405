/**
 * A path below a root. File names on Linux are bytes, so a path is bytes: steps separated by '/', no leading or trailing slash, no
 * empty, '.' or '..' step, no NUL. The empty path is the root itself. `display` is for people and logs only.
 */
import { AppError } from '../errors/app-error.ts'

declare const relPath: unique symbol
export type RelPath = Buffer & { readonly [relPath]: true }

/** Longest path and name that Linux addresses, in bytes. */
export const PATH_MAX_BYTES = 4094
export const NAME_MAX_BYTES = 255

export const ROOT_PATH: RelPath = Buffer.alloc(0) as RelPath

const SLASH = 0x2f
const DOT = 0x2e

function checkName(bytes: Buffer, start: number, end: number): void {
  const length = end - start
  if (length === 0) throw new AppError('PATH_INVALID', `path ${display(bytes)} has an empty step`)
  if (length > NAME_MAX_BYTES) throw new AppError('PATH_INVALID', `path ${display(bytes).slice(0, 300)} has a name over ${String(NAME_MAX_BYTES)} bytes`)
  if (bytes[start] === DOT && (length === 1 || (length === 2 && bytes[start + 1] === DOT))) {
    throw new AppError('PATH_INVALID', `path ${display(bytes)} has a "." or ".." step`)
  }
}

/**
 * Checks bytes that came from elsewhere; does not copy them.
 * @throws {AppError} PATH_INVALID when the bytes are no path below a root
 */
export function parseRelPath(bytes: Buffer): RelPath {
  if (bytes.length === 0) return ROOT_PATH
  if (bytes.length > PATH_MAX_BYTES) throw new AppError('PATH_INVALID', `path of ${String(bytes.length)} bytes is longer than ${String(PATH_MAX_BYTES)}`)
  if (bytes.includes(0)) throw new AppError('PATH_INVALID', `path ${display(bytes)} holds a NUL byte`)
  let start = 0
  for (let i = 0; i <= bytes.length; i++) {
    if (i === bytes.length || bytes[i] === SLASH) {
      checkName(bytes, start, i)
      start = i + 1
    }
  }
  return bytes as RelPath
}

/** The path of `name` in `directory`. @throws {AppError} PATH_INVALID when name is no single step or the whole is too long */
export function joinRelPath(directory: RelPath, name: Buffer): RelPath {
  if (name.includes(SLASH)) throw new AppError('PATH_INVALID', `name ${display(name)} holds a slash`)
  return parseRelPath(directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]))
}

/** The path of a name that a directory is known to hold; undefined when it is longer than Linux addresses. */
export function childPath(directory: RelPath, name: Buffer): RelPath | undefined {
  return directory.length + 1 + name.length > PATH_MAX_BYTES ? undefined : joinRelPath(directory, name)
}

/** The directory that holds `path`; the root for the root itself. */
export function parentOf(path: RelPath): RelPath {
  const at = path.lastIndexOf(SLASH)
  return at < 0 ? ROOT_PATH : path.subarray(0, at) as RelPath
}

/** The last step of `path`; empty for the root. */
export function nameOf(path: RelPath): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1)
}

/** Text for people: valid UTF-8 as it is, everything else, control characters and backslashes as \xNN. Never parse it back. */
export function display(bytes: Buffer): string {
  if (bytes.length === 0) return '.'
  const text = bytes.toString('utf8')
  if (Buffer.from(text, 'utf8').equals(bytes) && !/[\u0000-\u001f\u007f-\u009f\\]/.test(text)) return text
  return Array.from(bytes, b => (b < 0x20 || b > 0x7e || b === 0x5c ? `\\x${b.toString(16).padStart(2, '0')}` : String.fromCharCode(b))).join('')
}
