/** Another try for what a busy or unreachable VMware server or tool refused. */
import type { Clock } from '../clock/clock.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { isAppError } from '../errors/app-error.ts'

const TRIES = 5
const FIRST_PAUSE_MS = 2000

const PASSING: readonly ErrorCode[] = ['VSPHERE_UNREACHABLE', 'VSPHERE_TIMEOUT', 'VSPHERE_BUSY', 'DISK_NOT_FOUND', 'TOOL_TIMEOUT']

/** Runs `work` up to five times while it fails with a code that passes by itself; the pause doubles, with jitter. `failed` hears of each failure. */
export async function retrying<T>(
  work: () => Promise<T>, parts: { clock: Clock, failed: (error: Error, pauseMs: number) => Promise<void>, random?: () => number }, signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      if (signal.aborted || attempt >= TRIES || !isAppError(error) || !PASSING.includes(error.code)) throw error
      const pauseMs = Math.round(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.75 + (parts.random ?? Math.random)() / 2))
      await parts.failed(error, pauseMs)
      await parts.clock.sleep(pauseMs, signal)
    }
  }
}
