/** Copies of what lies in a file system, with all that it keeps of them: `cp`; the times of directories: `touch`; and `sync` of one file system. */
import type { Runner } from './runner.ts'

const COPY_TIMEOUT_MS = 1800_000
const TIMEOUT_MS = 600_000
const NS = 1_000_000_000n

/**
 * Copies a file, link, node or directory with all below it to `to`, which has nothing but a file to be replaced; links are never followed.
 * @param keep `times`: the target's file system has neither owners nor attributes (FAT)
 * @throws {AppError} what Runner throws
 */
export async function copyTree(runner: Runner, from: string, to: string, keep: 'everything' | 'times', signal: AbortSignal): Promise<void> {
  const preserved = keep === 'everything' ? 'mode,ownership,timestamps,links,xattr' : 'timestamps'
  await runner.run('cp', ['--no-dereference', '--recursive', `--preserve=${preserved}`, '--no-target-directory', '--remove-destination', '--', from, to], { signal, timeoutMs: COPY_TIMEOUT_MS })
}

/** Sets when a directory was changed last, to the nanosecond. @throws {AppError} what Runner throws */
export async function setModified(runner: Runner, path: string, mtimeNs: bigint, signal: AbortSignal): Promise<void> {
  const seconds = mtimeNs / NS - (mtimeNs % NS < 0n ? 1n : 0n)
  const date = `@${String(seconds)}.${String(mtimeNs - seconds * NS).padStart(9, '0')}`
  await runner.run('touch', ['-m', '--no-create', '--no-dereference', `--date=${date}`, '--', path], { signal, timeoutMs: TIMEOUT_MS })
}

/** All that was written to the file system of `path` is on its disk. @throws {AppError} what Runner throws */
export async function syncFileSystem(runner: Runner, path: string, signal: AbortSignal): Promise<void> {
  await runner.run('sync', ['--file-system', '--', path], { signal, timeoutMs: TIMEOUT_MS })
}
