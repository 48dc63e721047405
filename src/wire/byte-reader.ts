/**
 * Little-endian bytes of a peer, read one value after the other. Nothing is believed: whatever does not fit is FRAME_INVALID. Buffers
 * that it gives are views of the bytes it reads.
 */
import { AppError } from '../errors/app-error.ts'

/** The error for bytes that break the protocol. */
export function invalid(what: string): AppError<'FRAME_INVALID'> {
  return new AppError('FRAME_INVALID', `the peer sent bytes that are not the replication protocol: ${what}`)
}

export class ByteReader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get position(): number { return this.#at }
  get remaining(): number { return this.#end - this.#at }

  #advance(count: number): number {
    const at = this.#at
    if (count > this.#end - at) throw invalid(`${String(count)} bytes expected, ${String(this.#end - at)} left`)
    this.#at = at + count
    return at
  }

  u8(): number { return this.#bytes.readUInt8(this.#advance(1)) }
  u16(): number { return this.#bytes.readUInt16LE(this.#advance(2)) }
  u32(): number { return this.#bytes.readUInt32LE(this.#advance(4)) }
  u64(): bigint { return this.#bytes.readBigUInt64LE(this.#advance(8)) }
  i64(): bigint { return this.#bytes.readBigInt64LE(this.#advance(8)) }

  /** A u64 that TypeScript can hold as a number. */
  size(): number {
    const at = this.#advance(8)
    const high = this.#bytes.readUInt32LE(at + 4)
    if (high >= 2 ** 21) throw invalid('a size or offset of 2^53 or more')
    return high * 2 ** 32 + this.#bytes.readUInt32LE(at)
  }

  bytes(count: number): Buffer {
    const at = this.#advance(count)
    return this.#bytes.subarray(at, at + count)
  }

  /** A reader of the next `count` bytes, which this one skips. */
  part(count: number): ByteReader {
    const at = this.#advance(count)
    return new ByteReader(this.#bytes, at, at + count)
  }

  /** @throws {AppError} FRAME_INVALID when bytes are left */
  end(what: string): void {
    if (this.#at !== this.#end) throw invalid(`${String(this.#end - this.#at)} bytes too many in ${what}`)
  }
}
