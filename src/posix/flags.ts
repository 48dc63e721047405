/** Flags of an open file or directory as FS_IOC_GETFLAGS has them, as far as they can be set at any time: append-only, immutable, sync, nodump, noatime, dirsync. */
import { native } from './native.ts'
import { call, replicaCode } from './posix.ts'

/** Append-only and immutable (`chattr +a`, `+i`): not even root can write, rename or remove it then. */
export const LOCKS = 0x30

/** Those that `writeFlags` sets or takes away (addon/src/locks.rs has the same). */
export const SETTABLE = LOCKS | 0x08 | 0x40 | 0x80 | 0x1_0000

/** @param flags those that it has then @throws {AppError} REPLICA_WRITE, REPLICA_FULL, REPLICA_READ_ONLY */
export async function writeFlags(fd: number, path: string, flags: number): Promise<void> {
  await call(native.writeFlags(fd, flags), () => `change the flags of ${path}`, replicaCode)
}
