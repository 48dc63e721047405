/** The kernel's view of the partitions of a disk: `partx`. Needed where no re-read happens by itself (loop devices, hot-plugged disks in use). */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 30_000
const SOME_EXIST = 1

/** Tells the kernel about every partition of the table on `device`; those it knows already stay. @throws {AppError} what Runner throws */
export async function addPartitions(runner: Runner, device: string, signal: AbortSignal): Promise<void> {
  await runner.run('partx', ['--add', '--', device], { signal, timeoutMs: TIMEOUT_MS, allowedExitCodes: [SOME_EXIST] })
}

/** Makes the kernel forget the partitions of `device`; those in use stay. @throws {AppError} what Runner throws */
export async function forgetPartitions(runner: Runner, device: string, signal: AbortSignal): Promise<void> {
  await runner.run('partx', ['--delete', '--', device], { signal, timeoutMs: TIMEOUT_MS, allowedExitCodes: [SOME_EXIST] })
}
