/** Flags of an open file or directory as FS_IOC_GETFLAGS has them, as far as they can be set at any time: append-only, immutable, nodump, noatime, sync. */
import { native } from './native.ts'
import { call, replicaCode } from './posix.ts'

/** Append-only and immutable (`chattr +a`, `+i`): not even root can write, rename or remove it then. */
export const LOCKS = 0x30

/** All that are told here. */
export const SETTABLE = 0xf8

/** 0 when it has none, or the file system knows none. @throws {AppError} REPLICA_WRITE */
export async function readFlags(fd: number, path: string): Promise<number> {
  return await call(native.readFlags(fd), () => `read the flags of ${path}`, replicaCode)
}

/** @param flags those that it has then @throws {AppError} REPLICA_WRITE, REPLICA_FULL, REPLICA_READ_ONLY */
export async function writeFlags(fd: number, path: string, flags: number): Promise<void> {
  await call(native.writeFlags(fd, flags), () => `change the flags of ${path}`, replicaCode)
}
