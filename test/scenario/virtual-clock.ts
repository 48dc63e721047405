/** A clock that runs only when everybody sleeps: each tick of the event loop's timer wakes the sleeper whose time comes first. */
import type { Clock } from '../../src/clock/clock.ts'

interface Sleeper { atMs: number, wake: () => void }

export class VirtualClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 1)
  #sleepers: Sleeper[] = []
  #ticking = false

  now(): number {
    return this.#nowMs
  }

  /** Lets time pass for nobody in particular. */
  advance(ms: number): void {
    this.#nowMs += ms
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const sleeper: Sleeper = { atMs: this.#nowMs + ms, wake: () => { signal.removeEventListener('abort', stop); resolve() } }
      const stop = (): void => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#sleepers.push(sleeper)
      this.#tick()
    })
  }

  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    setTimeout(() => {
      this.#ticking = false
      const first = this.#sleepers.reduce<Sleeper | undefined>((a, b) => (a === undefined || b.atMs < a.atMs ? b : a), undefined)
      if (first === undefined) return
      this.#sleepers = this.#sleepers.filter(other => other !== first)
      this.#nowMs = Math.max(this.#nowMs, first.atMs)
      first.wake()
      if (this.#sleepers.length > 0) this.#tick()
    }, 1)
  }
}
