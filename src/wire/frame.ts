/**
 * Frames: how messages lie on a byte stream. Little-endian, a header of 12 bytes, then the body:
 *
 *   u32 body length | u32 CRC-32 of the body | u8 type | u8 0 | u16 volume
 *
 *   types   1 control  2 operations  3 list  4 listing  5 hash  6 hashes  7 digests  8 same (message-codec.ts)
 *           16 credit (u32 bytes of data, u32 bytes of control given back)  17 alive  18 bye (the link's own, tls-link.ts)
 *
 * The header is judged as soon as it is there, so a stranger who talks something else is found out by the first 12 bytes; no body is
 * larger than its type allows. This form, `hello` and `refuse` stay as they are in every version of the protocol.
 */
import { crc32 } from 'node:zlib'
import { BodyPool } from './body-pool.ts'
import { invalid } from './byte-reader.ts'
import { MAX_PAGE_BYTES } from './listing-codec.ts'
import { MAX_BATCH_BYTES } from './operation-codec.ts'

export const HEADER_BYTES = 12

export const FRAME_TYPES = {
  control: 1, operations: 2, list: 3, listing: 4, hash: 5, hashes: 6, digests: 7, same: 8, credit: 16, alive: 17, bye: 18,
} as const
export type FrameType = keyof typeof FRAME_TYPES

/** room for what stands before a batch, a page or a path in a body */
const PREFIX_BYTES = 64
const MAX_PATH_FIELD_BYTES = 4096

/** Largest body by type, in bytes. */
export const MAX_BODY_BYTES = {
  control: 1024 * 1024,
  operations: MAX_BATCH_BYTES + PREFIX_BYTES,
  list: 512 * 1024,
  listing: MAX_PAGE_BYTES + PREFIX_BYTES,
  hash: MAX_PATH_FIELD_BYTES + PREFIX_BYTES,
  hashes: 1024 * 1024 + PREFIX_BYTES,
  digests: 512 * 1024,
  same: 1024 + PREFIX_BYTES,
  credit: 8,
  alive: 0, bye: 0,
} as const satisfies Record<FrameType, number>

export interface Frame { type: FrameType, volume: number, body: Buffer }

const BY_CODE = new Map<number, FrameType>(Object.entries(FRAME_TYPES).map(([type, code]) => [code, type as FrameType]))

/**
 * Header and the first part of the body in one buffer, for a body of `prefix` and then `rest` (not copied, to be written behind it).
 * @throws {RangeError} when the body is over its type's limit
 */
export function encodeFrameHead(type: FrameType, volume: number, prefix: Buffer, rest: Buffer): Buffer {
  const length = prefix.length + rest.length
  if (length > MAX_BODY_BYTES[type]) throw new RangeError(`a ${type} message of ${String(length)} bytes is over the limit of ${String(MAX_BODY_BYTES[type])}`)
  const head = Buffer.allocUnsafe(HEADER_BYTES + prefix.length)
  head.writeUInt32LE(length, 0)
  head.writeUInt32LE(crc32(rest, crc32(prefix)), 4)
  head.writeUInt8(FRAME_TYPES[type], 8)
  head.writeUInt8(0, 9)
  head.writeUInt16LE(volume, 10)
  prefix.copy(head, HEADER_BYTES)
  return head
}

/** Takes the bytes of a stream in pieces of any size and gives whole frames. It holds at most one frame that is not whole. */
export class FrameParser {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  readonly #pool = new BodyPool()
  #headerFilled = 0
  #frame: Frame | undefined
  #bodyFilled = 0

  /** Whether the stream may end here: no frame has begun. */
  get atBoundary(): boolean { return this.#headerFilled === 0 }

  /**
   * The frames that the chunk completes; pull all of them before the next push. A body that lies whole in the chunk is a view of it.
   * @throws {AppError} FRAME_INVALID; the parser must not be used any more then
   */
  *push(chunk: Buffer): Generator<Frame, void, void> {
    for (let at = 0; at < chunk.length;) {
      if (this.#headerFilled < HEADER_BYTES) {
        at = this.#fillHeader(chunk, at)
        if (this.#headerFilled < HEADER_BYTES) return
      }
      const bodyBytes = this.#header.readUInt32LE(0)
      if (this.#frame === undefined) {
        const whole = chunk.length - at >= bodyBytes
        this.#frame = { type: this.#type(), volume: this.#header.readUInt16LE(10), body: whole ? chunk.subarray(at, at + bodyBytes) : this.#pool.take(bodyBytes) }
        if (whole) {
          at += bodyBytes
          yield this.#complete(this.#frame)
          continue
        }
      }
      const copied = chunk.copy(this.#frame.body, this.#bodyFilled, at)
      at += copied
      this.#bodyFilled += copied
      if (this.#bodyFilled === bodyBytes) yield this.#complete(this.#frame)
    }
  }

  /** Nobody looks at this part of a body any more: a later body may come to lie there. */
  reuse(part: Buffer): void { this.#pool.giveBack(part) }

  #fillHeader(chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.#header, this.#headerFilled, at)
    this.#headerFilled += copied
    if (this.#headerFilled === HEADER_BYTES) {
      const type = this.#type()
      const length = this.#header.readUInt32LE(0)
      if (this.#header[9] !== 0) throw invalid('a frame header with a reserved byte set')
      if (length > MAX_BODY_BYTES[type]) throw invalid(`a ${type} frame of ${String(length)} bytes`)
    }
    return at + copied
  }

  #type(): FrameType {
    const type = BY_CODE.get(this.#header.readUInt8(8))
    if (type === undefined) throw invalid(`frame type ${String(this.#header[8])}`)
    return type
  }

  #complete(frame: Frame): Frame {
    if (crc32(frame.body) !== this.#header.readUInt32LE(4)) throw invalid(`a ${frame.type} frame whose checksum is wrong`)
    this.#frame = undefined
    this.#headerFilled = 0
    this.#bodyFilled = 0
    return frame
  }
}
