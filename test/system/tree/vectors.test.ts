/** The bytes in fixtures/wire, which both codecs must write and read alike. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { FileOperation } from '../../../src/domain/file-operation.ts'
import { joinRelPath, ROOT_PATH } from '../../../src/domain/rel-path.ts'
import { asListingPage, encodeListing, listingEntries, type ListedObject } from '../../../src/wire/listing-codec.ts'
import { asOperationBatch, decodeOperations, encodeOperations } from '../../../src/wire/operation-codec.ts'
import { MOUNT_SKIP, mountLoop } from '../../zoo/loop-file-system.ts'
import { directory, fifo, file, link, metadata, METADATA, openPosixPair, rel, remove, rename, symlink, write, xattr } from '../../zoo/tree-pair.ts'

const signal = new AbortController().signal

const OPERATIONS: readonly FileOperation[] = [
  directory('d', { uid: 4_294_967_294, gid: 3, mode: 0o1777, xattrs: [xattr('user.a', ''), xattr('user.b', 'value')] }), file('d/child', 'c'),
  { kind: 'file', path: rel('\xff\n'), sizeBytes: 131_076, complete: true, metadata: { ...METADATA, mtimeNs: -1n }, extents: [{ offset: 65_536, data: Buffer.alloc(4096, 1) }, { offset: 131_072, data: Buffer.from('tail') }] },
  { kind: 'file', path: rel('piecewise'), sizeBytes: 20_000, complete: false, metadata: METADATA, extents: [] },
  write('piecewise', 4096, 'w'.repeat(8192)), { kind: 'punch', path: rel('piecewise'), offset: 8192, lengthBytes: 4096 }, { kind: 'resize', path: rel('piecewise'), sizeBytes: 10_000 }, metadata('piecewise', { flags: 0x40 }),
  symlink('s', 'to/nowhere'), fifo('p'), { kind: 'node', path: rel('c'), nodeType: 'character', deviceMajor: 300, deviceMinor: 70_000, metadata: METADATA },
  file('old', 'moved'), rename('old', 'new'), link('other', 'new'), link('third', 'new'), { kind: 'unshare', path: rel('third') }, file('gone', ''), remove('gone'), metadata('d', { uid: 4_294_967_294, gid: 3, mode: 0o1777, xattrs: [xattr('user.a', ''), xattr('user.b', 'value')] }),
]

/** Compares with the vector, or makes it with GOLDEN=update. */
function golden(t: { equal: (found: string, wanted: string) => void }, name: string, bytes: Buffer): void {
  const path = new URL(`../../../fixtures/wire/${name}.hex`, import.meta.url)
  const hex = `${bytes.toString('hex').replace(/.{120}/g, '$&\n')}\n`
  if (process.env['GOLDEN'] === 'update') writeFileSync(path, hex)
  t.equal(hex, readFileSync(path, 'utf8'))
}

/** The page with what differs from run to run set to 0, encoded by TypeScript. */
function stable(page: Buffer): Buffer {
  return encodeListing([...listingEntries(asListingPage(page))].map((e): ListedObject => ({
    name: e.name, inode: 0n, linkCount: e.type === 'directory' ? 0 : e.linkCount, allocatedBytes: 0, ctimeNs: 0n, type: e.type, sizeBytes: e.sizeBytes, deviceMajor: e.deviceMajor, deviceMinor: e.deviceMinor, symlinkTarget: e.symlinkTarget, core: e.core,
  })))
}

void t.test('the vectors are what TypeScript and the addon write, and both read them', { skip: MOUNT_SKIP }, async t => {
  const batch = encodeOperations(OPERATIONS)
  golden(t, 'every-kind.batch', batch)
  t.same([...decodeOperations(batch)], OPERATIONS)
  using volume = mountLoop('ext4')
  await using pair = await openPosixPair(volume.path)
  t.same((await pair.target.apply(batch, signal)).failures, [])
  const pages: Buffer[] = []
  for await (const page of pair.source.list(ROOT_PATH, signal)) pages.push(page)
  const page = Buffer.concat(pages)
  golden(t, 'every-kind.listing', stable(page))
  const paths = [...listingEntries(asListingPage(page))].map(e => joinRelPath(ROOT_PATH, e.name))
  const read = await pair.source.read(paths, { smallFileBytes: 1 << 20, maxBatchBytes: 1 << 20 }, signal)
  golden(t, 'read-back.batch', read.batch)
  t.same(encodeOperations(decodeOperations(asOperationBatch(read.batch))), read.batch)
})
