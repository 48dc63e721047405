/** Little-endian bytes written one value after the other into a buffer that grows. */
const FIRST_BYTES = 4096

export class ByteWriter {
  #bytes: Buffer
  #length = 0

  constructor(expectedBytes = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(Math.max(expectedBytes, 16))
  }

  get length(): number { return this.#length }

  /** Reserves `count` bytes and gives their position. */
  #reserve(count: number): number {
    const at = this.#length
    const end = at + count
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#length = end
    return at
  }

  u8(value: number): void { const at = this.#reserve(1); this.#bytes.writeUInt8(value, at) }
  u16(value: number): void { const at = this.#reserve(2); this.#bytes.writeUInt16LE(value, at) }
  u32(value: number): void { const at = this.#reserve(4); this.#bytes.writeUInt32LE(value, at) }
  u64(value: bigint): void { const at = this.#reserve(8); this.#bytes.writeBigUInt64LE(value, at) }
  i64(value: bigint): void { const at = this.#reserve(8); this.#bytes.writeBigInt64LE(value, at) }
  /** A size or offset: a non-negative safe integer, written as u64. */
  size(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${String(value)} is no size or offset`)
    const at = this.#reserve(8)
    this.#bytes.writeUInt32LE(value % 2 ** 32, at)
    this.#bytes.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4)
  }

  bytes(value: Buffer): void { const at = this.#reserve(value.length); value.copy(this.#bytes, at) }

  /** Overwrites the u32 at `at`, for a length that is known only behind what it counts. */
  setU32(at: number, value: number): void { this.#bytes.writeUInt32LE(value, at) }

  /** What was written; the writer must not be used any more. */
  finish(): Buffer { return this.#bytes.subarray(0, this.#length) }
}
