/**
 * The limbo: a directory in the root of a replica in which objects are kept for a moment while they are moved. It is there only while a
 * cycle of replication moves something; no tree shows it in a listing, neither a replica's nor a source's, so a source cannot have
 * something of this name copied, and a finding tells when it has. What a crash leaves in it is removed when replication or a mirror begins.
 */
import { parseRelPath, type RelPath } from './rel-path.ts'

export const LIMBO: RelPath = parseRelPath(Buffer.from('.landfall-limbo'))

/** Whether the path is the limbo's, or of something in it. */
export function isInLimbo(path: RelPath): boolean {
  return path.length >= LIMBO.length && path.compare(LIMBO, 0, LIMBO.length, 0, LIMBO.length) === 0 && (path.length === LIMBO.length || path[LIMBO.length] === 0x2f)
}
