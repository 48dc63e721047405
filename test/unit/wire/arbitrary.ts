/** Arbitrary operations and listed objects for property tests of the codecs. */
import fc from 'fast-check'
import type { ExtendedAttribute, FileMetadata, FileOperation } from '../../../src/domain/file-operation.ts'
import { parseRelPath, ROOT_PATH, type RelPath } from '../../../src/domain/rel-path.ts'
import type { EntryType, ListedObject } from '../../../src/wire/listing-codec.ts'

const u32 = fc.oneof(fc.nat(), fc.constantFrom(0, 0xffff_ffff, 0x8000_0000))
const size = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, 2 ** 32 - 1))
const ns = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

/** Any bytes that may be the name of a file. */
export const name: fc.Arbitrary<Buffer> = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.uint8Array({ minLength: 250, maxLength: 255 }))
  .map(bytes => Buffer.from(bytes).map(b => (b === 0 || b === 0x2f ? 0x61 : b)) as Buffer)
  .filter(bytes => !bytes.equals(Buffer.from('.')) && !bytes.equals(Buffer.from('..')))

export const path: fc.Arbitrary<RelPath> = fc.oneof(
  fc.constant(ROOT_PATH),
  fc.array(name, { minLength: 1, maxLength: 4 }).map(names => parseRelPath(Buffer.concat(names.flatMap((n, i) => (i === 0 ? [n] : [Buffer.from('/'), n]))))),
)

const bytes = (options: { minLength?: number, maxLength: number }): fc.Arbitrary<Buffer> => fc.uint8Array(options).map(b => Buffer.from(b))
const noNul = (options: { minLength?: number, maxLength: number }): fc.Arbitrary<Buffer> => bytes(options).map(b => b.map(x => (x === 0 ? 1 : x)) as Buffer)

const xattrs: fc.Arbitrary<ExtendedAttribute[]> = fc.uniqueArray(fc.record({ name: noNul({ minLength: 1, maxLength: 20 }), value: bytes({ maxLength: 40 }) }),
  { maxLength: 4, selector: x => x.name.toString('hex') }).map(list => list.toSorted((a, b) => Buffer.compare(a.name, b.name)))

const coreModel = { mode: fc.integer({ min: 0, max: 0o7777 }), uid: u32, gid: u32, flags: u32, projectId: u32, mtimeNs: ns, xattrs }
const core = fc.record(coreModel)
export const metadata: fc.Arbitrary<FileMetadata> = fc.record({ ...coreModel, atimeNs: ns })

const extent = fc.record({ offset: fc.integer({ min: 0, max: 2 ** 52 }), data: bytes({ maxLength: 60 }) })
const kind = <K extends string>(k: K): fc.Arbitrary<K> => fc.constant(k)

export const operation: fc.Arbitrary<FileOperation> = fc.oneof(
  fc.record({ kind: kind('directory'), path, metadata }),
  fc.record({ kind: kind('file'), path, sizeBytes: size, complete: fc.boolean(), metadata, extents: fc.array(extent, { maxLength: 3 }) }),
  fc.record({ kind: kind('write'), path, offset: extent.map(e => e.offset), data: bytes({ maxLength: 60 }) }),
  fc.record({ kind: kind('punch'), path, offset: fc.integer({ min: 0, max: 2 ** 52 }), lengthBytes: fc.integer({ min: 0, max: 2 ** 52 }) }),
  fc.record({ kind: kind('resize'), path, sizeBytes: size }),
  fc.record({ kind: kind('symlink'), path, target: noNul({ minLength: 1, maxLength: 100 }), metadata }),
  fc.record({ kind: kind('node'), path, nodeType: fc.constantFrom('fifo', 'socket', 'character', 'block'), deviceMajor: u32, deviceMinor: u32, metadata }),
  fc.record({ kind: kind('link'), path, existing: path }),
  fc.record({ kind: kind('rename'), path, to: path }),
  fc.record({ kind: kind('remove'), path }),
  fc.record({ kind: kind('set-aside'), path }),
  fc.record({ kind: kind('unshare'), path }),
  fc.record({ kind: kind('metadata'), path, metadata }),
)

const listed: fc.Arbitrary<ListedObject> = fc.record({
  name, inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), linkCount: u32, allocatedBytes: size, ctimeNs: ns,
  type: fc.constantFrom<EntryType>('file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block'),
  sizeBytes: size, deviceMajor: u32, deviceMinor: u32, symlinkTarget: noNul({ maxLength: 50 }),
  core,
})

/** Objects of one directory, in name order. */
export const listing: fc.Arbitrary<ListedObject[]> = fc.uniqueArray(listed, { maxLength: 6, selector: o => o.name.toString('hex') })
  .map(list => list.toSorted((a, b) => Buffer.compare(a.name, b.name)))
