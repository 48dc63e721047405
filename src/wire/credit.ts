/**
 * Byte credit: how much a sender may have under way that the peer's consumer has not taken yet. Both ends of a link begin with the same
 * windows and count alike. Operations, listings and hashes share the data window; control messages have a window of their own, so that an
 * acknowledgement never waits behind the data that it would free.
 */
import type { Message } from './messages.ts'

/** eight batches of the usual 1 MiB: enough to keep both ends busy, and all that a slow receiver has to hold */
export const DATA_WINDOW_BYTES = 8 * 1024 * 1024
/** two of the largest control messages */
export const CONTROL_WINDOW_BYTES = 2 * 1024 * 1024

/** how far the pages of one list request may be ahead of the agent's consumer */
export const LIST_WINDOW_BYTES = 1024 * 1024

export type CreditClass = 'data' | 'control'

export function creditClassOf(message: Message): CreditClass {
  return message.type === 'control' ? 'control' : 'data'
}

interface Waiter { bytes: number, resolve: () => void, reject: (error: Error) => void }

/** One window. Those who wait get their turn in the order in which they came. */
export class Credit {
  readonly #windowBytes: number
  #available: number
  readonly #waiting: Waiter[] = []
  #failure: Error | undefined

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes
    this.#available = windowBytes
  }

  /** bytes that are taken and not given back */
  get usedBytes(): number { return this.#windowBytes - this.#available }

  /**
   * Resolves when `bytes` are taken. More than the window is let through when nothing else is under way. Abort gives the turn up and
   * takes nothing.
   */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#available -= bytes
      return
    }
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(signal.reason as Error)
        this.#serve() // what stood behind may fit now
      }
      const leave = (): void => { signal.removeEventListener('abort', stop) }
      const waiter: Waiter = { bytes, resolve: () => { leave(); resolve() }, reject: error => { leave(); reject(error) } }
      this.#waiting.push(waiter)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  /** Gives bytes back. @returns false when that is more than was taken: the peer does not count as we do */
  give(bytes: number): boolean {
    if (bytes > this.usedBytes) return false
    this.#available += bytes
    this.#serve()
    return true
  }

  /** Everybody who waits, now or later, gets this error. */
  fail(error: Error): void {
    this.#failure ??= error
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error)
  }

  #fits(bytes: number): boolean {
    return bytes <= this.#available || this.#available === this.#windowBytes
  }

  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#available -= first.bytes
      first.resolve()
    }
  }
}
