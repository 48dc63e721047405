/** Maps of the kernel's device mapper: `dmsetup`. What there is, is read from sysfs (`storage/device-maps.ts`). */
import type { Runner } from './runner.ts'

const TIMEOUT_MS = 60_000

/** Takes the map away; for a moment also one that a scan holds open. @throws {AppError} TOOL_FAILED when it is in use; what Runner throws */
export async function removeMap(runner: Runner, name: string, signal: AbortSignal): Promise<void> {
  await runner.run('dmsetup', ['remove', '--retry', '--', name], { signal, timeoutMs: TIMEOUT_MS })
}
