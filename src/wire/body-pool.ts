/**
 * Buffers for large batches on their way out: whoever fills one gives it to the link, and the link gives it back when it was written. A stream
 * then makes no garbage and touches no new memory. What is never given back is left to the garbage collector.
 */

/** Smaller bodies are not worth it. */
const POOLED_BYTES = 64 * 1024
/** What may wait to be used again: more than one link's window. */
const SPARE_BYTES = 16 * 1024 * 1024

export class BodyPool {
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #adopted = new WeakSet<ArrayBufferLike>()
  #spare: Buffer[] = []
  #spareBytes = 0
  /** so many of the spare ones, the oldest, waited all the time since the last look */
  #idle = 0

  /** A buffer of exactly so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    if (bytes < POOLED_BYTES) return Buffer.allocUnsafe(bytes)
    const roomBytes = 2 ** Math.ceil(Math.log2(bytes))
    const at = this.#spare.findIndex(spare => spare.length === roomBytes)
    const buffer = this.#spare.splice(at, at < 0 ? 0 : 1)[0]
    if (buffer !== undefined) this.#spareBytes -= roomBytes
    this.#idle = Math.min(this.#idle, this.#spare.length)
    const taken = buffer ?? Buffer.allocUnsafeSlow(roomBytes)
    this.#lent.add(taken.buffer)
    return taken.subarray(0, bytes)
  }

  /**
   * A buffer of others, made for one body and for nothing else: when it was given back its memory is free at once, and the buffer is empty. What
   * waits for the garbage collector instead may outlive two small collections while it is on its way, and then only a full one frees it.
   */
  adopt(buffer: Buffer): Buffer {
    if (buffer.length >= POOLED_BYTES && buffer.length === buffer.buffer.byteLength) this.#adopted.add(buffer.buffer)
    return buffer
  }

  /** Whether the buffer is, or lies in, one that was taken and not given back, or is all of one that was adopted. */
  isLent(part: Buffer): boolean { return this.#lent.has(part.buffer) || (this.#adopted.has(part.buffer) && part.length === part.buffer.byteLength) }

  /** Frees as many buffers as nobody has wanted since this was called last. */
  freeIdle(): void {
    for (const { buffer } of this.#spare.splice(0, this.#idle)) {
      this.#spareBytes -= buffer.byteLength
      if (buffer instanceof ArrayBuffer) buffer.transfer(0)
    }
    this.#idle = this.#spare.length
  }

  /** Nobody looks at the buffer, or at any part of it, any more. Buffers that are not the pool's, or were given back already, do no harm. */
  giveBack(part: Buffer): void {
    const memory = part.buffer
    if (part.length === memory.byteLength && this.#adopted.delete(memory) && memory instanceof ArrayBuffer) memory.transfer(0)
    if (!this.#lent.delete(memory) || this.#spareBytes + memory.byteLength > SPARE_BYTES) return
    this.#spare.push(Buffer.from(memory))
    this.#spareBytes += memory.byteLength
  }
}

/** The buffers of all links of this process. */
export const outgoingBodies = new BodyPool()
