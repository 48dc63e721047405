/** Flags of a directory: `chattr`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 30_000

/** New files in the directory are not copied on write. @throws {AppError} what Runner throws */
export async function disableCow(runner: Runner, directory: string, signal: AbortSignal): Promise<void> {
  await runner.run('chattr', ['+C', '--', directory], { signal, timeoutMs: TIMEOUT_MS })
}
