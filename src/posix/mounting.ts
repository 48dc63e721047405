/**
 * Typed face of the addon's mount(2), umount2(2), mknod(2) and utimensat(2), for places of our own: a call each, and no tool that is started, which counts where
 * dozens of them lie between the freeze of a source and the start of its replica. What is mounted is read from /proc (`mount-table.ts`).
 */
import { setTimeout as pause } from 'node:timers/promises'
import { AppError } from '../errors/app-error.ts'
import { native } from './native.ts'
import { call, replicaCode } from './posix.ts'

const MS_REMOUNT = 0x20
const MS_BIND = 0x1000
const MS_PRIVATE = 0x4_0000
/** Options that are flags of mount(2); all others are for the file system. */
const FLAGS: ReadonlyMap<string, number> = new Map([['rw', 0], ['ro', 1], ['nosuid', 2], ['nodev', 4], ['exec', 0], ['noexec', 8], ['sync', 0x10], ['noatime', 0x400]])
const NS = 1_000_000_000n
const MOUNT_MS = 300_000 // replaying a large log
const UNMOUNT_MS = 600_000 // writing back all that is dirty

/** Mounts the file system of `type` on `device`, which is shown by this name: not by that of its map, which is another one on the replica. @throws {AppError} MOUNT_FAILED, TOOL_TIMEOUT */
export async function mountDevice(device: string, mountPoint: string, type: string, options: readonly string[]): Promise<void> {
  await mount({ source: device, target: mountPoint, type, ...parse(options) }, `mount ${device} as ${type} at ${mountPoint}`)
}

/** Mounts a virtual file system (tmpfs, sysfs) that nothing propagates into or out of. @throws {AppError} MOUNT_FAILED */
export async function mountVirtual(type: 'tmpfs' | 'sysfs', mountPoint: string, options: readonly string[]): Promise<void> {
  await mount({ source: 'landfall', target: mountPoint, type, ...parse(options) }, `mount a ${type} at ${mountPoint}`)
  await setApart(mountPoint)
}

/** Shows the directory `from` (its own file system only) at `to`. @throws {AppError} MOUNT_FAILED */
export async function bindMount(from: string, to: string): Promise<void> {
  await mount({ source: from, target: to, flags: MS_BIND }, `show ${from} at ${to}`)
  await setApart(to)
}

/** Changes the options of the one mount at `mountPoint`, not of its file system. @throws {AppError} MOUNT_FAILED */
export async function remountBind(mountPoint: string, options: readonly string[]): Promise<void> {
  await mount({ target: mountPoint, flags: parse(options).flags | MS_REMOUNT | MS_BIND }, `mount ${mountPoint} anew with ${options.join(',')}`)
}

/** Unmounts the topmost mount at `mountPoint`, no link being followed. @throws {AppError} MOUNT_FAILED when it is busy or nothing is mounted there; TOOL_TIMEOUT */
export async function unmount(mountPoint: string): Promise<void> {
  await within(UNMOUNT_MS, native.unmount(Buffer.from(mountPoint)), `unmount ${mountPoint}`)
}

/** Makes a device node at `path`, in a directory of ours, with just this mode. @throws {AppError} REPLICA_WRITE and the like, when something is there too */
export async function makeNode(path: string, kind: 'block' | 'character', major: number, minor: number, mode: number): Promise<void> {
  await call(native.makeDevice(Buffer.from(path), kind === 'block', major, minor, mode), () => `make the device ${path}`, replicaCode)
}

/** Sets when the object at `path`, no link being followed, was changed last, to the nanosecond. @throws {AppError} REPLICA_WRITE and the like */
export async function setModified(path: string, mtimeNs: bigint): Promise<void> {
  const nanoseconds = ((mtimeNs % NS) + NS) % NS
  await call(native.setModified(Buffer.from(path), Number((mtimeNs - nanoseconds) / NS), Number(nanoseconds)), () => `set the time of ${path}`, replicaCode)
}

interface Mounting { source?: string, target: string, type?: string, flags: number, data?: string }

async function mount({ source, target, type, flags, data }: Mounting, attempted: string): Promise<void> {
  const bytes = (text: string | undefined): Buffer | undefined => (text === undefined || text === '' ? undefined : Buffer.from(text))
  await within(MOUNT_MS, native.mount(bytes(source), Buffer.from(target), bytes(type), flags, bytes(data)), attempted)
}

/** Nothing propagates into or out of it. */
async function setApart(mountPoint: string): Promise<void> {
  await mount({ target: mountPoint, flags: MS_PRIVATE }, `set ${mountPoint} apart`)
}

/** The kernel may wait for a disk as long as it likes; the call goes on then. */
async function within(ms: number, work: Promise<void>, attempted: string): Promise<void> {
  const over = new AbortController()
  const late = pause(ms, undefined, { signal: over.signal }).then(() => { throw new AppError('TOOL_TIMEOUT', `the kernel did not ${attempted} within ${String(ms / 1000)} s`) })
  late.catch(() => undefined)
  try {
    await call(Promise.race([work, late]), () => attempted, () => 'MOUNT_FAILED')
  } finally {
    over.abort()
  }
}

function parse(options: readonly string[]): { flags: number, data: string } {
  return {
    flags: options.reduce((flags, option) => flags | (FLAGS.get(option) ?? 0), 0),
    data: options.filter(option => !FLAGS.has(option)).join(','),
  }
}
