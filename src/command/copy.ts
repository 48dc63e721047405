/** Copies of what lies in a file system, with all that it keeps of them: `cp`; and `sync` of one file system. */
import type { Runner } from './runner.ts'

const COPY_TIMEOUT_MS = 1800_000
const TIMEOUT_MS = 600_000
/** Names in one call. */
const AT_ONCE = 500

/**
 * Copies a file, link, node or directory with all below it to `to`, which has nothing but a file to be replaced; links are never followed.
 * @param keep `times`: the target's file system has neither owners nor attributes (FAT)
 * @throws {AppError} what Runner throws
 */
export async function copyTree(runner: Runner, from: string, to: string, keep: 'everything' | 'times', signal: AbortSignal): Promise<void> {
  await runner.run('cp', [...copyOptions(keep), '--no-target-directory', '--', from, to], { signal, timeoutMs: COPY_TIMEOUT_MS })
}

function copyOptions(keep: 'everything' | 'times'): readonly string[] {
  return ['--no-dereference', '--recursive', `--preserve=${keep === 'everything' ? 'mode,ownership,timestamps,links,xattr' : 'timestamps'}`, '--remove-destination']
}

/** The same with several, which keep their names, into a directory of which none of them is there but as a file. */
export async function copyInto(runner: Runner, from: readonly string[], directory: string, keep: 'everything' | 'times', signal: AbortSignal): Promise<void> {
  for (let at = 0; at < from.length; at += AT_ONCE) {
    await runner.run('cp', [...copyOptions(keep), `--target-directory=${directory}`, '--', ...from.slice(at, at + AT_ONCE)], { signal, timeoutMs: COPY_TIMEOUT_MS })
  }
}

/** All that was written to the file system of `path` is on its disk. @throws {AppError} what Runner throws */
export async function syncFileSystem(runner: Runner, path: string, signal: AbortSignal): Promise<void> {
  await runner.run('sync', ['--file-system', '--', path], { signal, timeoutMs: TIMEOUT_MS })
}
