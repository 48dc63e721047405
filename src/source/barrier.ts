/** Who waits until everything that was captured before a moment is durable on the replica. */

/** What the kernel has told, and the capture has not read yet, is read by then. */
const CAPTURE_LAG_MS = 1000

interface Waiter { atMs: number, resolve: () => void }

export class Barriers {
  #waiting: Waiter[] = []

  /** Resolves when `noteSafe` has told a time behind now, and the capture's lag is over. */
  async passed(nowMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiting = this.#waiting.filter(other => other !== waiter)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        atMs: nowMs + CAPTURE_LAG_MS, resolve: () => {
          signal.removeEventListener('abort', stop)
          resolve()
        },
      }
      this.#waiting.push(waiter)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  /** Everything that was captured up to this time is durable. */
  noteSafe(upToMs: number): void {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ atMs }) => atMs >= upToMs)
    for (const { atMs, resolve } of waiting) if (atMs < upToMs) resolve()
  }
}
