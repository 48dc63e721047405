/** Units of systemd on a running machine: `systemctl`. */
import type { Runner } from './runner.ts'

const ASK_MS = 30_000
/** the default of systemd for stopping a unit is 90 s, after which it kills */
const CHANGE_MS = 180_000
const NOT_ACTIVE = [1, 2, 3, 4]

/** Whether the unit runs, or is about to. @throws {AppError} what Runner throws */
export async function isUnitActive(runner: Runner, unit: string, signal: AbortSignal): Promise<boolean> {
  const { stdout } = await runner.run('systemctl', ['is-active', '--', unit], { signal, timeoutMs: ASK_MS, allowedExitCodes: NOT_ACTIVE })
  return ['active', 'activating', 'reloading'].includes(stdout.trim())
}

/** Stops the unit and waits for it. @throws {AppError} what Runner throws; TOOL_FAILED also for a unit that does not exist */
export async function stopUnit(runner: Runner, unit: string, signal: AbortSignal): Promise<void> {
  await runner.run('systemctl', ['stop', '--', unit], { signal, timeoutMs: CHANGE_MS })
}

/** Starts the unit and waits for it. @throws {AppError} what Runner throws */
export async function startUnit(runner: Runner, unit: string, signal: AbortSignal): Promise<void> {
  await runner.run('systemctl', ['start', '--', unit], { signal, timeoutMs: CHANGE_MS })
}
