/** Time, injected so that tests do not wait. */
export interface Clock {
  /** milliseconds since the epoch */
  now(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted before. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The system's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await new Promise<void>((resolve, reject) => {
      signal.throwIfAborted()
      const stop = (): void => { clearTimeout(timer); reject(signal.reason as Error) }
      const timer = setTimeout(() => { signal.removeEventListener('abort', stop); resolve() }, ms)
      signal.addEventListener('abort', stop, { once: true })
    })
  },
}
