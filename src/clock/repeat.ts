import type { Clock } from './clock.ts'

/** Looks again and again, with so long a pause behind each look, until the signal aborts, and resolves then. Rejects as `look` does. */
export async function repeatUntilAborted(look: () => Promise<void> | void, { clock, pauseMs }: { clock: Pick<Clock, 'sleep'>, pauseMs: number }, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => signal.aborted
  while (!isOver()) {
    await look()
    try {
      await clock.sleep(pauseMs, signal)
    } catch (error) {
      if (!isOver()) throw error
    }
  }
}
