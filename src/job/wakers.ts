/** Wakes those who wait for the next change of a job. Holds one callback per waiter, no history. */
export class Wakers {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Resolves at the next `wake` of this id, or at the abort. */
  async next(id: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting)
    await new Promise<void>(resolve => {
      const wake = (): void => {
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  wake(id: string): void {
    for (const wake of [...this.#waiting.get(id) ?? []]) wake()
  }
}
