/** What a link has handed to the addon and is not with the network yet: it holds senders back while it is much, and lends bodies meanwhile. */
import { outgoingBodies } from './body-pool.ts'

export class UnsentData {
  /** data that was handed over, and what of it waits for the network */
  #dataBytes = 0
  #unsentBytes = 0
  #highWaterBytes: number
  /** bodies that are not known to be written, with the count of bytes at which they are */
  #unwritten: { atBytes: number, body: Buffer }[] = []
  #waiting: (() => void)[] = []

  constructor(highWaterBytes: number) {
    this.#highWaterBytes = highWaterBytes
  }

  get isHigh(): boolean { return this.#unsentBytes > this.#highWaterBytes }

  setHighWater(bytes: number): void {
    this.#highWaterBytes = bytes
    this.goOn()
  }

  /** @param pooled the body, when it is one of outgoingBodies */
  add(sizeBytes: number, pooled: Buffer | undefined): void {
    this.#dataBytes += sizeBytes
    if (pooled !== undefined) this.#unwritten.push({ atBytes: this.#dataBytes, body: pooled })
  }

  /** So much waits now. Bodies that were written are free for others. */
  note(unsentBytes: number): void {
    this.#unsentBytes = unsentBytes
    for (let first = this.#unwritten[0]; first !== undefined && first.atBytes <= this.#dataBytes - unsentBytes; first = this.#unwritten[0]) {
      this.#unwritten.shift()
      outgoingBodies.giveBack(first.body)
    }
  }

  /** Lets senders go on when it is little. */
  goOn(): void {
    if (!this.isHigh) this.letGo()
  }

  /** Lets senders go on, to see for themselves. */
  letGo(): void {
    for (const go of this.#waiting.splice(0)) go()
  }

  /** Resolves when senders may go on, or the signal aborts. */
  async fallen(signal: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      const go = (): void => {
        signal.removeEventListener('abort', go)
        resolve()
      }
      signal.addEventListener('abort', go, { once: true })
      this.#waiting.push(go)
    })
  }
}
