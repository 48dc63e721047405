/** FileMetadata as bytes: `core` and `metadata` of the layout in operation-codec.ts. */
import type { ExtendedAttribute, FileMetadata } from '../domain/file-operation.ts'
import { invalid, type ByteReader } from './byte-reader.ts'
import { MAX_XATTR_NAMES_BYTES } from './limits.ts'
import type { ByteWriter } from './byte-writer.ts'

/** Metadata as listings carry it: access times would make every look a difference. */
export type CoreMetadata = Omit<FileMetadata, 'atimeNs'>

const MAX_XATTR_VALUE_BYTES = 64 * 1024
const MAX_XATTRS_BYTES = 1024 * 1024
/** Names that begin so are marks: the replica's own notes on its root. They never travel. */
const MARKS = Buffer.from('trusted.landfall.')
/** bytes of a core without extended attributes */
export const CORE_BYTES = 32
/** where in a core the modification time is, and how long it is */
export const CORE_MTIME = { offset: 18, lengthBytes: 12 } as const

const SECOND_NS = 1_000_000_000n

/** i64 seconds, u32 nanoseconds */
export function writeTime(to: ByteWriter, ns: bigint): void {
  let seconds = ns / SECOND_NS
  let rest = ns % SECOND_NS
  if (rest < 0n) {
    rest += SECOND_NS
    seconds -= 1n
  }
  to.i64(seconds)
  to.u32(Number(rest))
}

function readTime(from: ByteReader): bigint {
  const seconds = from.i64()
  const nanoseconds = from.u32()
  if (nanoseconds >= 1_000_000_000) throw invalid('a time with more than 999999999 nanoseconds')
  return seconds * SECOND_NS + BigInt(nanoseconds)
}

function byName(a: ExtendedAttribute, b: ExtendedAttribute): number {
  return Buffer.compare(a.name, b.name)
}

/** @throws {RangeError} when a value does not fit its field */
export function writeCore(to: ByteWriter, core: CoreMetadata): void {
  if (core.mode > 0o7777) throw new RangeError(`mode ${core.mode.toString(8)} has more than the permission bits`)
  to.u16(core.mode)
  to.u32(core.uid)
  to.u32(core.gid)
  to.u32(core.flags)
  to.u32(core.projectId)
  writeTime(to, core.mtimeNs)
  to.u16(core.xattrs.length)
  for (const { name, value } of core.xattrs.toSorted(byName)) {
    to.u8(name.length)
    to.bytes(name)
    to.u32(value.length)
    to.bytes(value)
  }
}

/** @throws {AppError} FRAME_INVALID */
export function readCore(from: ByteReader): CoreMetadata {
  const mode = from.u16()
  if (mode > 0o7777) throw invalid('a mode above 07777')
  const uid = from.u32()
  const gid = from.u32()
  const flags = from.u32()
  const projectId = from.u32()
  const mtimeNs = readTime(from)
  return { mode, uid, gid, flags, projectId, mtimeNs, xattrs: readXattrs(from) }
}

function readXattrs(from: ByteReader): ExtendedAttribute[] {
  const count = from.u16()
  const xattrs: ExtendedAttribute[] = []
  let totalBytes = 0
  let namesBytes = 0
  let before: Buffer | undefined
  for (let i = 0; i < count; i++) {
    const name = from.bytes(from.u8())
    if (name.length === 0 || name.includes(0)) throw invalid('an extended attribute whose name is empty or holds NUL')
    if (name.subarray(0, MARKS.length).equals(MARKS)) throw invalid('an extended attribute that the replica keeps for itself')
    if (before !== undefined && Buffer.compare(before, name) >= 0) throw invalid('extended attributes that are not sorted by name')
    const valueBytes = from.u32()
    if (valueBytes > MAX_XATTR_VALUE_BYTES) throw invalid(`an extended attribute of ${String(valueBytes)} bytes`)
    totalBytes += name.length + valueBytes
    if (totalBytes > MAX_XATTRS_BYTES) throw invalid(`extended attributes of over ${String(MAX_XATTRS_BYTES)} bytes`)
    namesBytes += name.length + 1
    if (namesBytes > MAX_XATTR_NAMES_BYTES) throw invalid('more names of extended attributes than a file can have')
    xattrs.push({ name, value: from.bytes(valueBytes) })
    before = name
  }
  return xattrs
}

/** @throws {RangeError} when a value does not fit its field */
export function writeMetadata(to: ByteWriter, metadata: FileMetadata): void {
  writeCore(to, metadata)
  writeTime(to, metadata.atimeNs)
}

/** @throws {AppError} FRAME_INVALID */
export function readMetadata(from: ByteReader): FileMetadata {
  const core = readCore(from)
  return { ...core, atimeNs: readTime(from) }
}
