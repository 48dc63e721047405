/** Mounting and unmounting: `mount`, `umount`. The lists of what is mounted are read from /proc (`storage/mount-table.ts`), never from these tools. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 300_000 // replaying a large log
const UMOUNT_TIMEOUT_MS = 600_000 // writing back all that is dirty

/** Mounts the file system of `type` on `device`, which is shown by this name: not by that of its map, which is another one on the replica. @throws {AppError} what Runner throws */
export async function mountDevice(runner: Runner, device: string, mountPoint: string, type: string, options: readonly string[], signal: AbortSignal): Promise<void> {
  await runner.run('mount', ['--no-canonicalize', '--types', type, '--options', options.join(','), '--', device, mountPoint], { signal, timeoutMs: TIMEOUT_MS })
}

/** Mounts a virtual file system (tmpfs, sysfs) that nothing propagates into or out of. @throws {AppError} what Runner throws */
export async function mountVirtual(runner: Runner, type: 'tmpfs' | 'sysfs', mountPoint: string, options: readonly string[], signal: AbortSignal): Promise<void> {
  await runner.run('mount', ['--make-private', '--types', type, '--options', options.join(','), '--', 'landfall', mountPoint], { signal, timeoutMs: TIMEOUT_MS })
}

/** Shows the directory `from` (its own file system only) at `to`. @throws {AppError} what Runner throws */
export async function bindMount(runner: Runner, from: string, to: string, signal: AbortSignal): Promise<void> {
  await runner.run('mount', ['--bind', '--make-private', '--', from, to], { signal, timeoutMs: TIMEOUT_MS })
}

/** Changes the options of the one mount at `mountPoint`, not of its file system. @throws {AppError} what Runner throws */
export async function remountBind(runner: Runner, mountPoint: string, options: readonly string[], signal: AbortSignal): Promise<void> {
  await runner.run('mount', ['--options', ['remount', 'bind', ...options].join(','), '--', mountPoint], { signal, timeoutMs: TIMEOUT_MS })
}

/** Unmounts the topmost mount at `mountPoint`. @throws {AppError} TOOL_FAILED when it is busy or not mounted; what Runner throws */
export async function unmount(runner: Runner, mountPoint: string, signal: AbortSignal): Promise<void> {
  await runner.run('umount', ['--no-canonicalize', '--', mountPoint], { signal, timeoutMs: UMOUNT_TIMEOUT_MS })
}
