/** Paths as keys of maps: bytes as characters, so that equal keys are equal paths and sort as bytes do. */
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'

export function keyOf(path: RelPath): string {
  return path.toString('latin1')
}

export function pathOfKey(key: string): RelPath {
  return parseRelPath(Buffer.from(key, 'latin1'))
}

/** Whether a directory above path is in the set. */
export function isBelowOneOf(path: RelPath, set: Pick<ReadonlySet<string>, 'has'>): boolean {
  const key = keyOf(path)
  for (let at = key.lastIndexOf('/'); at > 0; at = key.lastIndexOf('/', at - 1)) {
    if (set.has(key.slice(0, at))) return true
  }
  return false
}
