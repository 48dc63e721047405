/** Flushes a block device: `blockdev --flushbufs`. */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 600_000

/** Writes back and drops what the kernel holds of `device`. @throws {AppError} what Runner throws */
export async function flushDevice(runner: Runner, device: string, signal: AbortSignal): Promise<void> {
  await runner.run('blockdev', ['--flushbufs', device], { signal, timeoutMs: TIMEOUT_MS }) // no "--": it takes any word without a dash as the device
}
