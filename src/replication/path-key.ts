/** Paths as keys of maps: bytes as characters, so that equal keys are equal paths and sort as bytes do. */
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'

export function keyOf(path: RelPath): string {
  return path.toString('latin1')
}

export function pathOfKey(key: string): RelPath {
  return parseRelPath(Buffer.from(key, 'latin1'))
}
