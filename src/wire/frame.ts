/**
 * Frames: how messages lie on a byte stream. Little-endian, a header of 12 bytes, then the body:
 *
 *   u32 body length | u32 check | u8 type | u8 flags | u16 volume
 *
 *   types   1 control  2 operations  3 list  4 listing  5 hash  6 hashes  7 digests  8 same (message-codec.ts)
 *           16 credit (u32 bytes of data, u32 bytes of control given back)  17 alive  18 bye (the link's own, tls-link.ts)
 *           19 part (the addon's own): the next bytes, 1 to 65536, of the body of the frame in parts that has begun
 *   flags   bit 0, types 2 to 8: the body follows in parts; between them there may be control, credit and alive, nothing else
 *           bit 1, types 2 and 4: the body is packed: u32 length of the plain body | u8 length of the fields | fields | one zstd frame of
 *           what stands behind the fields. The plain body obeys its type's limit, and credit is counted by its length
 *
 * TLS has checked every byte, so nobody looks at `check` any more; in control messages it is the body's CRC-32, which version 1 wants to see
 * before it understands a refusal, else 0. This form, `hello` and `refuse` stay as they are in every version of the protocol.
 *
 * Frames are taken apart by the addon (addon/src/frame.rs): the header is judged as soon as it is there, so a stranger who talks something
 * else is found out by the first 12 bytes; no body is larger than its type allows.
 */
import { crc32 } from 'node:zlib'
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

/** Largest body by type, in bytes; frame.rs has the same table. */
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

/** The type that a code on the wire stands for. @throws {AppError} FRAME_INVALID when it stands for none */
export function frameType(code: number): FrameType {
  const type = BY_CODE.get(code)
  if (type === undefined) throw invalid(`frame type ${String(code)}`)
  return type
}

/**
 * Header and the first part of the body in one buffer, for a body of `prefix` and then `rest` (not copied, to be written behind it).
 * @throws {RangeError} when the body is over its type's limit
 */
export function encodeFrameHead(type: FrameType, volume: number, prefix: Buffer, rest: Buffer): Buffer {
  const length = prefix.length + rest.length
  if (length > MAX_BODY_BYTES[type]) throw new RangeError(`a ${type} message of ${String(length)} bytes is over the limit of ${String(MAX_BODY_BYTES[type])}`)
  const head = Buffer.allocUnsafe(HEADER_BYTES + prefix.length)
  head.writeUInt32LE(length, 0)
  head.writeUInt32LE(type === 'control' ? crc32(rest, crc32(prefix)) : 0, 4)
  head.writeUInt8(FRAME_TYPES[type], 8)
  head.writeUInt8(0, 9)
  head.writeUInt16LE(volume, 10)
  prefix.copy(head, HEADER_BYTES)
  return head
}
