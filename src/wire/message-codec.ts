/**
 * Messages as frames. Bodies, little-endian:
 *
 *   control      JSON of `Control`
 *   operations   u64 sequence | batch (operation-codec.ts)
 *   list         u32 request | directories: { u16 length | path }
 *   listing      u32 request | u32 directory number | u8 last (0, 1) | page (listing-codec.ts)
 *   hash         u32 request | u64 offset | u64 length | u32 block bytes | path
 *   hashes       u32 request | hashes of 16 bytes
 *   digests      u32 request | directories: { 16 bytes digest | u16 length | path }
 *   same         u32 request | u8 for each directory (0, 1)
 */
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { ByteReader, invalid } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { encodeFrameHead, type Frame } from './frame.ts'
import { MAX_CONTROL_VALUES, MAX_HASH_BLOCK_BYTES, MAX_HASHED_BYTES } from './limits.ts'
import { asListingPage, DIGEST_BYTES, type DirectoryDigest } from './listing-codec.ts'
import { Control, type Message } from './messages.ts'
import { asOperationBatch } from './operation-codec.ts'
import { MAX_LISTED_DIRECTORIES } from './operation-stream.ts'

export const HASH_BYTES = 16
/** Most blocks that one hash request may ask for: 1 MiB of hashes. */
const MAX_HASHED_BLOCKS = 65536

const NOTHING = Buffer.alloc(0)

/** A message on the wire: header and small fields in `head`, then `body` as the message gave it, not copied. */
export interface EncodedMessage { head: Buffer, body: Buffer, sizeBytes: number }

/** @throws {RangeError} when the message is over a limit */
export function encodeMessage(message: Message): EncodedMessage {
  const prefix = new ByteWriter(64)
  let body: Buffer = NOTHING
  let volume = 0
  switch (message.type) {
    case 'control':
      body = Buffer.from(JSON.stringify(message.control))
      break
    case 'operations':
      volume = message.volume
      prefix.size(message.sequence)
      body = message.batch
      break
    case 'list':
      volume = message.volume
      prefix.u32(message.request)
      if (message.directories.length > MAX_LISTED_DIRECTORIES) throw new RangeError(`a list request for ${String(message.directories.length)} directories`)
      for (const directory of message.directories) {
        prefix.u16(directory.length)
        prefix.bytes(directory)
      }
      break
    case 'listing':
      volume = message.volume
      prefix.u32(message.request)
      prefix.u32(message.directory)
      prefix.u8(message.last ? 1 : 0)
      body = message.page
      break
    case 'hash':
      volume = message.volume
      prefix.u32(message.request)
      prefix.size(message.offset)
      prefix.size(message.lengthBytes)
      prefix.u32(message.blockBytes)
      prefix.bytes(message.path)
      break
    case 'hashes':
      volume = message.volume
      prefix.u32(message.request)
      body = message.hashes
      break
    case 'digests':
      volume = message.volume
      prefix.u32(message.request)
      if (message.directories.length > MAX_LISTED_DIRECTORIES) throw new RangeError(`a request for digests of ${String(message.directories.length)} directories`)
      for (const { path, digest } of message.directories) {
        prefix.bytes(digest)
        prefix.u16(path.length)
        prefix.bytes(path)
      }
      break
    case 'same':
      volume = message.volume
      prefix.u32(message.request)
      body = message.same
      break
  }
  const head = encodeFrameHead(message.type, volume, prefix.finish(), body)
  return { head, body, sizeBytes: head.length + body.length }
}

/**
 * The message of a frame; buffers are views of its body. What a batch or a page holds is checked when it is decoded or applied.
 * @throws {AppError} FRAME_INVALID, also for frames that are the link's own
 */
export function decodeMessage(frame: Frame): Message {
  const { volume, body } = frame
  const from = new ByteReader(body)
  switch (frame.type) {
    case 'control':
      return { type: 'control', control: decodeControl(body) }
    case 'operations': {
      const sequence = from.size()
      return { type: 'operations', volume, sequence, batch: asOperationBatch(from.bytes(from.remaining)) }
    }
    case 'list': {
      const request = from.u32()
      const directories: RelPath[] = []
      while (from.remaining > 0) {
        if (directories.length === MAX_LISTED_DIRECTORIES) throw invalid('a list request for too many directories')
        directories.push(path(from.bytes(from.u16())))
      }
      return { type: 'list', volume, request, directories }
    }
    case 'listing': {
      const request = from.u32()
      const directory = from.u32()
      const last = from.u8()
      if (last > 1) throw invalid('a listing whose end mark is not 0 or 1')
      return { type: 'listing', volume, request, directory, last: last === 1, page: asListingPage(from.bytes(from.remaining)) }
    }
    case 'hash': {
      const request = from.u32()
      const offset = from.size()
      const lengthBytes = from.size()
      const blockBytes = from.u32()
      if (lengthBytes > MAX_HASHED_BYTES) throw invalid(`a hash request for ${String(lengthBytes)} bytes`)
      if (blockBytes === 0 || blockBytes > MAX_HASH_BLOCK_BYTES || Math.ceil(lengthBytes / blockBytes) > MAX_HASHED_BLOCKS) throw invalid('a hash request for too many or too large blocks')
      if (!Number.isSafeInteger(offset + lengthBytes)) throw invalid('a hash request that ends at 2^53 or above')
      return { type: 'hash', volume, request, offset, lengthBytes, blockBytes, path: path(from.bytes(from.remaining)) }
    }
    case 'hashes': {
      const request = from.u32()
      if (from.remaining % HASH_BYTES !== 0) throw invalid('hashes that are not 16 bytes each')
      return { type: 'hashes', volume, request, hashes: from.bytes(from.remaining) }
    }
    case 'digests': {
      const request = from.u32()
      const directories: DirectoryDigest[] = []
      while (from.remaining > 0) {
        if (directories.length === MAX_LISTED_DIRECTORIES) throw invalid('a request for digests of too many directories')
        const digest = from.bytes(DIGEST_BYTES)
        directories.push({ path: path(from.bytes(from.u16())), digest })
      }
      return { type: 'digests', volume, request, directories }
    }
    case 'same': {
      const request = from.u32()
      const same = from.bytes(from.remaining)
      if (same.some(byte => byte > 1)) throw invalid('an answer to digests that is neither 0 nor 1')
      return { type: 'same', volume, request, same }
    }
    case 'credit': case 'alive': case 'bye':
      throw invalid(`a ${frame.type} frame where a message was expected`)
  }
}

function decodeControl(body: Buffer): Control {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new AppError('FRAME_INVALID', 'the peer sent a control message that is no JSON', { cause: error })
  }
  if (countValues(json, MAX_CONTROL_VALUES) > MAX_CONTROL_VALUES) throw invalid('a control message with too many values')
  const control = Control.safeParse(json)
  if (!control.success) {
    // not the error itself: it lists every fault of what may be a megabyte of them
    const [fault] = control.error.issues
    throw invalid(`a control message of unknown form: ${fault?.path.join('.').slice(0, 100) ?? ''}: ${fault?.message.slice(0, 200) ?? ''}`)
  }
  return control.data
}

/** How many values there are in all, until there are more than `enough`. Asked before the schema is, which says of each what is wrong with it. */
function countValues(json: unknown, enough: number): number {
  const left = [json]
  let count = 0
  for (let value = left.pop(); value !== undefined && count <= enough; value = left.pop()) {
    count++
    if (typeof value !== 'object' || value === null) continue
    const inner: unknown[] = Object.values(value)
    if (inner.length > enough) return enough + 1
    left.push(...inner)
  }
  return count
}

function path(bytes: Buffer): RelPath {
  try {
    return parseRelPath(bytes)
  } catch (error) {
    if (isAppError(error, 'PATH_INVALID')) throw new AppError('FRAME_INVALID', `the peer sent a path that cannot be used: ${error.message}`, { cause: error })
    throw error
  }
}
