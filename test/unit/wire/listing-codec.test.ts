import fc from 'fast-check'
import t from 'tap'
import { isAppError } from '../../../src/errors/app-error.ts'
import { asListingPage, encodeListing, listingEntries, type ListedObject, type ListingEntry } from '../../../src/wire/listing-codec.ts'
import { listing } from './arbitrary.ts'
import { propertyRuns } from '../../seed.ts'

const object: ListedObject = {
  name: Buffer.from('a'), inode: 7n, linkCount: 1, allocatedBytes: 4096, ctimeNs: 1_700_000_000_000_000_001n, type: 'file', sizeBytes: 10, deviceMajor: 0, deviceMinor: 0, symlinkTarget: Buffer.alloc(0),
  core: { mode: 0o644, uid: 1, gid: 2, flags: 0, projectId: 0, mtimeNs: 5n, xattrs: [] },
}
const entryOf = (change: Partial<ListedObject>): ListingEntry => {
  const [entry] = listingEntries(encodeListing([{ ...object, ...change }]))
  if (entry === undefined) throw new Error('no entry')
  return entry
}
const withCore = (change: Partial<ListedObject['core']>): ListingEntry => entryOf({ core: { ...object.core, ...change } })

t.test('any listing survives encoding and reading', async t => {
  fc.assert(fc.property(listing, objects => {
    const page = encodeListing(objects)
    const back = Array.from(listingEntries(page), (e): ListedObject => ({
      name: e.name, inode: e.inode, linkCount: e.linkCount, allocatedBytes: e.allocatedBytes, ctimeNs: e.ctimeNs, type: e.type, sizeBytes: e.sizeBytes,
      deviceMajor: e.deviceMajor, deviceMinor: e.deviceMinor, symlinkTarget: e.symlinkTarget, core: e.core,
    }))
    for (const [i, e] of [...listingEntries(page)].entries()) {
      const core = objects[i]?.core
      if (core?.mtimeNs !== e.mtimeNs || core.mode !== e.mode || core.uid !== e.uid || core.gid !== e.gid) return false
    }
    return encodeListing(back).equals(page) && back.length === objects.length
  }), propertyRuns(300))
  t.pass()
})

t.test('arbitrary and damaged bytes are refused with FRAME_INVALID or read', async () => {
  const reads = (bytes: Buffer): boolean => {
    try {
      return [...listingEntries(asListingPage(bytes))].every(e => e.name.length + e.symlinkTarget.length + e.core.xattrs.length + e.sizeBytes + e.allocatedBytes >= 0)
    } catch (error) {
      return isAppError(error, 'FRAME_INVALID')
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => reads(Buffer.from(bytes))), propertyRuns(1000))
  fc.assert(fc.property(listing, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (objects, where, value, cut) => {
    const bytes = Buffer.from(encodeListing(objects))
    if (bytes.length === 0) return true
    if (cut) return reads(bytes.subarray(0, where % bytes.length))
    bytes[where % bytes.length] = value
    return reads(bytes)
  }), propertyRuns(1000))
})

t.test('the bytes of an entry are the documented ones', async t => {
  t.equal(encodeListing([{ ...object, type: 'symlink', sizeBytes: 0, symlinkTarget: Buffer.from('xy') }]).toString('hex'),
    '57000000' + '01' + '61' + '0700000000000000' + '01000000' + '0010000000000000' + '00f1536500000000' + '01000000'
    + '03' + '0000000000000000' + '00000000' + '00000000' + '0200' + '7879'
    + 'a401' + '01000000' + '02000000' + '00000000' + '00000000' + '0000000000000000' + '05000000' + '0000')
})

t.test('two records are the same when every attribute is', async t => {
  t.ok(entryOf({}).sameRecord(entryOf({ name: Buffer.from('other'), inode: 9n, linkCount: 3, allocatedBytes: 0, ctimeNs: 0n })), 'name, inode, link count, space and the last change do not count')
  t.notOk(entryOf({}).sameRecord(withCore({ mode: 0o600 })))
  t.notOk(entryOf({}).sameRecord(withCore({ xattrs: [{ name: Buffer.from('user.a'), value: Buffer.alloc(0) }] })))
})

t.test('content attributes are type, size, modification time, target and device', async t => {
  t.ok(entryOf({}).sameContentAttributes(withCore({ mode: 0o600, uid: 5, gid: 5, flags: 1, projectId: 3 })))
  t.notOk(entryOf({}).sameContentAttributes(entryOf({ sizeBytes: 11 })))
  t.notOk(entryOf({}).sameContentAttributes(withCore({ mtimeNs: 6n })))
  t.notOk(entryOf({}).sameContentAttributes(entryOf({ type: 'fifo' })))
  t.notOk(entryOf({ type: 'symlink', symlinkTarget: Buffer.from('a') }).sameContentAttributes(entryOf({ type: 'symlink', symlinkTarget: Buffer.from('b') })))
  t.notOk(entryOf({ type: 'block', deviceMinor: 1 }).sameContentAttributes(entryOf({ type: 'block', deviceMinor: 2 })))
})

t.test('names compare as bytes', async t => {
  const [low, high] = [entryOf({ name: Buffer.from([0x7f]) }), entryOf({ name: Buffer.from([0x80]) })]
  t.equal(low.compareName(high), -1)
  t.equal(high.compareName(low), 1)
  t.equal(low.compareName(low), 0)
})

t.test('an entry alone may have the empty name of a root', async t => {
  t.equal(entryOf({ name: Buffer.alloc(0) }).name.length, 0)
  t.throws(() => [...listingEntries(encodeListing([{ ...object, name: Buffer.alloc(0) }, object]))], { code: 'FRAME_INVALID' })
})

t.test('names that are no step of a path, or out of order, are refused with FRAME_INVALID', async t => {
  for (const name of ['.', '..', 'a/b', 'a\0b']) {
    t.throws(() => entryOf({ name: Buffer.from(name) }), { code: 'FRAME_INVALID' }, JSON.stringify(name))
  }
  const named = (name: string): ListedObject => ({ ...object, name: Buffer.from(name) })
  t.throws(() => [...listingEntries(encodeListing([named('b'), named('a')]))], { code: 'FRAME_INVALID' })
  t.throws(() => [...listingEntries(encodeListing([named('a'), named('a')]))], { code: 'FRAME_INVALID' })
  t.throws(() => asListingPage(Buffer.alloc(4 * 1024 * 1024 + 1)), { code: 'FRAME_INVALID' })
})
