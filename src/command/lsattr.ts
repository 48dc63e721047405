/** The flags of a directory: `lsattr -d`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 30_000

/** Whether new files in `directory` are not copied on write. @throws {AppError} what Runner throws */
export async function isNoCow(runner: Runner, directory: string, signal: AbortSignal): Promise<boolean> {
  const { stdout } = await runner.run('lsattr', ['-d', '--', directory], { signal, timeoutMs: TIMEOUT_MS })
  return (stdout.split(' ')[0] ?? '').includes('C')
}
