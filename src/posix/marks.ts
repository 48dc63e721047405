/**
 * Marks on the root of a replica: extended attributes whose names begin with `trusted.landfall.`, which the addon hides from everything that
 * lists, compares or copies and refuses from a source.
 */
import { AppError } from '../errors/app-error.ts'
import { native } from './native.ts'
import { errnoOf, replicaCode, type TreeHandle } from './posix.ts'

/** What says that no mark can be kept, while everything else may go well; EPERM: an immutable root, no privilege. */
const NO_MARK: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'EPERM', 'ENOSPC', 'EDQUOT'])

/** Which volume of which job this is (VolumeStack.mark writes it, cutover takes it away). */
export const VOLUME_MARK = 'trusted.landfall.volume'

/** The mark on the root of the tree; undefined when there is none, or the file system has no such attributes. @throws {AppError} REPLICA_WRITE */
export async function readMark(tree: TreeHandle, name: string): Promise<string | undefined> {
  try {
    return (await native.readMark(tree, Buffer.from(name)))?.toString('utf8')
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    if (errno === 'EOPNOTSUPP') return undefined
    throw new AppError('REPLICA_WRITE', `cannot read the mark ${name} of the replica: ${errno}`, { cause: error })
  }
}

/** How far an unfinished mirror has come (replication/mirror-mark.ts); taken away when it is complete. */
export const MIRROR_MARK = 'trusted.landfall.mirror'

/** Puts the mark on the root of the tree; undefined takes it away. Survives a power loss when it resolves, unless it is not to be `durable`. @throws {AppError} REPLICA_FULL, REPLICA_READ_ONLY, REPLICA_WRITE */
export async function writeMark(tree: TreeHandle, name: string, value: string | undefined, durable = true): Promise<void> {
  try {
    await native.writeMark(tree, Buffer.from(name), value === undefined ? null : Buffer.from(value), durable)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    if (errno === 'EOPNOTSUPP' && value === undefined) return
    throw new AppError(replicaCode(errno), `cannot write the mark ${name} of the replica: ${errno}`, { cause: error })
  }
}

/**
 * As writeMark, for a mark that can be done without: false where there is no room for it, or the file system or the root takes none; what
 * was there before stays. @throws {AppError} REPLICA_READ_ONLY, REPLICA_WRITE
 */
export async function offerMark(tree: TreeHandle, name: string, value: string | undefined, durable: boolean): Promise<boolean> {
  try {
    await writeMark(tree, name, value, durable)
    return true
  } catch (error) {
    const errno = error instanceof Error ? errnoOf(error.cause) : undefined
    if (errno !== undefined && NO_MARK.has(errno)) return false
    throw error
  }
}
