/** What lies below directories, as far as it tells whether anything was changed: `find`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 600_000
/** of find, when it could not look at something */
const NOT_ALL = 1
/** name, type, mode, owner, group, size, times of content and of any change, target of a link */
const FORMAT = String.raw`%p\0%y %m %U %G %s %T@ %C@ %l\0`

/**
 * Writes a line for each entry of `paths` and all below them to the file `to`, in the order in which the file system tells them; other file systems are not entered, no link is followed.
 * @param paths absolute, none of them a choice of the source
 * @returns false when it is not to be believed: something was changed after `sinceMs`, so that a later change might have the same time, or came, went or could not be read meanwhile
 * @throws {AppError} what Runner throws
 */
export async function listStamps(runner: Runner, paths: readonly string[], to: string, sinceMs: number, signal: AbortSignal): Promise<boolean> {
  const { stdout, exitCode } = await runner.run('find', ['-P', ...paths, '-xdev', '-fprintf', to, FORMAT, '-newerct', `@${(sinceMs / 1000).toFixed(3)}`, '-printf', 'x', '-quit'], { signal, timeoutMs: TIMEOUT_MS, allowedExitCodes: [NOT_ALL] })
  return stdout === '' && exitCode === 0
}
