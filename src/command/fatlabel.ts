/** The label of a FAT: `fatlabel`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 30_000

/** Labels the unmounted file system on `device`; '' for none. @throws {AppError} what Runner throws */
export async function labelFat(runner: Runner, device: string, label: string, signal: AbortSignal): Promise<void> {
  await runner.run('fatlabel', label === '' ? ['--reset', '--', device] : ['--', device, label], { signal, timeoutMs: TIMEOUT_MS })
}
