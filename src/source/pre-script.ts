/** Running a script of the source's administrator before the freeze. */
import { lstat, realpath } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Runner } from '../command/runner.ts'
import type { PreScript } from '../domain/quiesce.ts'
import { AppError, isAppError } from '../errors/app-error.ts'

const WRITABLE_BY_OTHERS = 0o022
const EXECUTABLE = 0o111
const STICKY = 0o1000
/** bytes of the end of its output that are kept */
const OUTPUT_BYTES = 4096

/**
 * Runs the script with its arguments, without a shell, and answers the end of its output.
 * @throws {AppError} PRE_SCRIPT_INVALID when it is not there, or somebody else than root could have written it; PRE_SCRIPT_FAILED when it ends
 * with anything but 0, or not in time
 */
export async function runPreScript(runner: Runner, directory: string, script: PreScript, signal: AbortSignal): Promise<{ output: string, durationMs: number }> {
  const path = await safePath(directory, script.name)
  try {
    const { stdout, stderr, durationMs } = await runner.run(path, script.arguments, { signal, timeoutMs: script.timeoutMs, keepEndBytes: OUTPUT_BYTES })
    return { output: `${stdout}${stderr}`.trim(), durationMs }
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error)) throw error
    throw new AppError('PRE_SCRIPT_FAILED', `the pre-script ${script.name} did not succeed: ${error.message}`, { cause: error })
  }
}

async function safePath(directory: string, name: string): Promise<`/${string}`> {
  const refuse = (path: string, why: string): AppError => new AppError('PRE_SCRIPT_INVALID', `the pre-script ${name} is not run: ${path} ${why}`)
  const status = async (path: string): Promise<Stats> => {
    try {
      return await lstat(path)
    } catch (error) {
      throw new AppError('PRE_SCRIPT_INVALID', `the pre-script ${name} is not run: ${path} cannot be looked at`, { cause: error })
    }
  }
  await status(directory)
  const folder = await realpath(directory)
  const path = join(folder, name)
  const file = await status(path)
  if (!file.isFile()) throw refuse(path, 'is no regular file')
  if ((file.mode & EXECUTABLE) === 0) throw refuse(path, 'is not executable')
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = at === path ? file : await status(at)
    if (uid !== 0) throw refuse(at, 'does not belong to root')
    // in a sticky directory nobody else can replace what is root's; what is directly in it could be put there by anybody, but is not root's then
    if ((mode & WRITABLE_BY_OTHERS) !== 0 && ((mode & STICKY) === 0 || at === folder)) throw refuse(at, 'can be written to by others than root')
    if (at === '/') return `/${path.slice(1)}`
  }
}
