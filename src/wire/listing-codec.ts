/**
 * Entries of a directory as bytes, in name order. Written by the Rust addon and by the memory tree on both sides; compared byte for byte
 * without decoding where nothing differs. Little-endian.
 *
 *   page    entries one after the other
 *   entry   u32 length of what follows | u8 name length | name | u64 inode | u32 link count | u64 allocated bytes
 *           | i64 seconds | u32 nanoseconds of the last change (ctime) | record
 *   record  u8 type (1 file, 2 directory, 3 symlink, 4 fifo, 5 socket, 6 character, 7 block) | u64 size (files only, else 0)
 *           | u32 major | u32 minor (nodes only, else 0) | u16 length | symlink target (symlinks only) | core of operation-codec.ts
 *
 * Two records that are equal bytes mean: same type, size, times, owner, mode, flags, xattrs, target.
 */
import { NAME_MAX_BYTES, type RelPath } from '../domain/rel-path.ts'
import type { NodeType } from '../domain/file-operation.ts'
import { ByteReader, invalid } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CORE_BYTES, CORE_MTIME, readCore, writeCore, writeTime, type CoreMetadata } from './metadata-codec.ts'

declare const listingPage: unique symbol
export type ListingPage = Buffer & { readonly [listingPage]: true }

/**
 * What a directory holds, in 16 bytes: BLAKE3 over { u8 name length | name | record } of its entries in name order. A directory that holds
 * objects with several names has none: which names belong together is not in the records.
 */
export interface DirectoryDigest { path: RelPath, digest: Buffer }
export const DIGEST_BYTES = 16

export type EntryType = 'file' | 'directory' | 'symlink' | NodeType

/** What a page says about one entry, as a plain record; `name` is empty for the root of a tree. */
export interface ListedObject {
  name: Buffer
  inode: bigint
  linkCount: number
  allocatedBytes: number
  /** when anything of it changed last, on its own machine's clock */
  ctimeNs: bigint
  type: EntryType
  /** of a regular file, else 0 */
  sizeBytes: number
  deviceMajor: number
  deviceMinor: number
  /** of a symbolic link, else empty */
  symlinkTarget: Buffer
  core: CoreMetadata
}

/** A page has about 1 MiB; the last entry may carry 1 MiB of extended attributes. */
export const MAX_PAGE_BYTES = 4 * 1024 * 1024

const TYPE_CODES = { file: 1, directory: 2, symlink: 3, fifo: 4, socket: 5, character: 6, block: 7 } as const satisfies Record<EntryType, number>
const TYPES: readonly (EntryType | undefined)[] = [undefined, 'file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block']

/** what of an entry is neither its length, its name nor its record: name length, inode, link count, allocated bytes, ctime */
const ENTRY_FIXED_BYTES = 1 + 8 + 4 + 8 + 12
/** type, size, major, minor, target length: what stands before the target */
const RECORD_HEAD_BYTES = 1 + 8 + 4 + 4 + 2
const SLASH = 0x2f
const DOT = 0x2e

/** Bytes that arrived as a page; entries are checked when they are read. @throws {AppError} FRAME_INVALID when too long */
export function asListingPage(bytes: Buffer): ListingPage {
  if (bytes.length > MAX_PAGE_BYTES) throw invalid(`a listing page of ${String(bytes.length)} bytes`)
  return bytes as ListingPage
}

/** Objects as a page; the caller gives them in name order. @throws {RangeError} when a value does not fit its field */
export function encodeListing(objects: Iterable<ListedObject>): ListingPage {
  const to = new ByteWriter()
  for (const object of objects) {
    const start = to.length
    to.u32(0)
    to.u8(object.name.length)
    to.bytes(object.name)
    to.u64(object.inode)
    to.u32(object.linkCount)
    to.size(object.allocatedBytes)
    writeTime(to, object.ctimeNs)
    to.u8(TYPE_CODES[object.type])
    to.size(object.sizeBytes)
    to.u32(object.deviceMajor)
    to.u32(object.deviceMinor)
    to.u16(object.symlinkTarget.length)
    to.bytes(object.symlinkTarget)
    writeCore(to, object.core)
    to.setU32(start, to.length - start - 4)
  }
  return to.finish() as ListingPage
}

/**
 * One entry of a page, a view of its bytes: nothing is decoded before it is asked for. The page must stay as it is while entries are used.
 */
export class ListingEntry {
  readonly #page: Buffer
  readonly #name: number
  readonly #nameEnd: number
  readonly #record: number
  readonly #end: number

  /** @param start where the entry begins in the page, behind its length; `end` where it ends. Checked here, so that reading never fails below the extended attributes. */
  constructor(page: Buffer, start: number, end: number) {
    this.#page = page
    this.#name = start + 1
    this.#end = end
    if (end - start < ENTRY_FIXED_BYTES + RECORD_HEAD_BYTES + CORE_BYTES) throw invalid('a listing entry that is too short')
    this.#nameEnd = this.#name + page.readUInt8(start)
    this.#record = this.#nameEnd + ENTRY_FIXED_BYTES - 1
    if (end - this.#record < RECORD_HEAD_BYTES + CORE_BYTES) throw invalid('a listing entry that is shorter than its name')
    if (this.#core > end - CORE_BYTES) throw invalid('a listing entry that is shorter than its symbolic link')
    if (TYPES[page.readUInt8(this.#record)] === undefined) throw invalid('a listing entry of unknown type')
  }

  get #core(): number { return this.#record + RECORD_HEAD_BYTES + this.#page.readUInt16LE(this.#record + RECORD_HEAD_BYTES - 2) }

  get name(): Buffer { return this.#page.subarray(this.#name, this.#nameEnd) }
  get inode(): bigint { return this.#page.readBigUInt64LE(this.#nameEnd) }
  get linkCount(): number { return this.#page.readUInt32LE(this.#nameEnd + 8) }
  get allocatedBytes(): number { return this.#size(this.#nameEnd + 12) }
  /** when anything of it changed last, on its own machine's clock */
  get ctimeNs(): bigint { return this.#time(this.#nameEnd + 20) }
  /** the bytes that say what the object is; equal bytes, equal object */
  get record(): Buffer { return this.#page.subarray(this.#record, this.#end) }
  get type(): EntryType {
    const type = TYPES[this.#page.readUInt8(this.#record)]
    if (type === undefined) throw invalid('a listing entry of unknown type')
    return type
  }

  /** of a regular file, else 0 */
  get sizeBytes(): number { return this.#size(this.#record + 1) }
  get deviceMajor(): number { return this.#page.readUInt32LE(this.#record + 9) }
  get deviceMinor(): number { return this.#page.readUInt32LE(this.#record + 13) }
  /** of a symbolic link, else empty */
  get symlinkTarget(): Buffer { return this.#page.subarray(this.#record + RECORD_HEAD_BYTES, this.#core) }
  get mode(): number { return this.#page.readUInt16LE(this.#core) }
  get uid(): number { return this.#page.readUInt32LE(this.#core + 2) }
  get gid(): number { return this.#page.readUInt32LE(this.#core + 6) }
  /** inode flags, as of FileMetadata */
  get flags(): number { return this.#page.readUInt32LE(this.#core + 10) }
  get mtimeNs(): bigint {
    return this.#time(this.#core + CORE_MTIME.offset)
  }

  /** Everything but the access time. @throws {AppError} FRAME_INVALID */
  get core(): CoreMetadata {
    const from = new ByteReader(this.#page, this.#core, this.#end)
    const core = readCore(from)
    from.end('a listing entry')
    return core
  }

  /** Byte order of the names, as Buffer.compare. */
  compareName(other: ListingEntry): -1 | 0 | 1 {
    return order(this.#page.compare(other.#page, other.#name, other.#nameEnd, this.#name, this.#nameEnd))
  }

  /** Type, size, times, owner, mode, flags, xattrs and target are all equal. */
  sameRecord(other: ListingEntry): boolean {
    return this.#page.compare(other.#page, other.#record, other.#end, this.#record, this.#end) === 0
  }

  /** Type, size, device, target and modification time are equal: a file's data needs no second look by attributes. */
  sameContentAttributes(other: ListingEntry): boolean {
    const core = this.#core
    const otherCore = other.#core
    if (this.#page.compare(other.#page, other.#record, otherCore, this.#record, core) !== 0) return false
    const at = core + CORE_MTIME.offset
    const otherAt = otherCore + CORE_MTIME.offset
    return this.#page.compare(other.#page, otherAt, otherAt + CORE_MTIME.lengthBytes, at, at + CORE_MTIME.lengthBytes) === 0
  }

  #time(at: number): bigint {
    return this.#page.readBigInt64LE(at) * 1_000_000_000n + BigInt(this.#page.readUInt32LE(at + 8))
  }

  #size(at: number): number {
    const high = this.#page.readUInt32LE(at + 4)
    if (high >= 2 ** 21) throw invalid('a size of 2^53 or more')
    return high * 2 ** 32 + this.#page.readUInt32LE(at)
  }
}

/**
 * The entries of a page in order. Bounds, names and their order are checked as they are pulled.
 * @throws {AppError} FRAME_INVALID
 */
export function* listingEntries(page: ListingPage): Generator<ListingEntry, void, void> {
  let before: ListingEntry | undefined
  for (let at = 0; at < page.length;) {
    if (page.length - at < 4) throw invalid('a listing page that ends inside an entry')
    const start = at + 4
    const end = start + page.readUInt32LE(at)
    if (end > page.length) throw invalid('a listing page that ends inside an entry')
    const entry = new ListingEntry(page, start, end)
    checkName(page, start + 1, page.readUInt8(start), page.length === end && at === 0)
    if (before !== undefined && before.compareName(entry) >= 0) throw invalid('a listing page that is not in name order')
    yield entry
    before = entry
    at = end
  }
}

/** The page with only these entries; the page itself when all of them stay. @throws {AppError} FRAME_INVALID */
export function keptEntries(page: ListingPage, keep: (entry: ListingEntry) => boolean): ListingPage {
  const kept: Buffer[] = []
  let at = 0
  // where the entries begin that are kept without a gap
  let start = 0
  for (const entry of listingEntries(page)) {
    const end = at + 4 + page.readUInt32LE(at)
    if (!keep(entry)) {
      kept.push(page.subarray(start, at))
      start = end
    }
    at = end
  }
  return start === 0 ? page : Buffer.concat([...kept, page.subarray(start)]) as ListingPage
}

function order(sign: number): -1 | 0 | 1 {
  return sign < 0 ? -1 : sign > 0 ? 1 : 0
}

/** A name must be one step of a path; the empty name of a root stands alone. */
function checkName(page: Buffer, at: number, length: number, alone: boolean): void {
  if (length === 0 && alone) return
  if (length === 0 || length > NAME_MAX_BYTES) throw invalid('a listing entry without a name')
  if (page.readUInt8(at) === DOT && (length === 1 || (length === 2 && page.readUInt8(at + 1) === DOT))) throw invalid('a listing entry named "." or ".."')
  for (let i = at; i < at + length; i++) {
    const byte = page[i]
    if (byte === SLASH || byte === 0) throw invalid('a listing entry whose name holds a slash or NUL')
  }
}
