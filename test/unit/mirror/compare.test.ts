import t from 'tap'
import fc from 'fast-check'
import { joinListings, judge } from '../../../src/mirror/compare.ts'
import { encodeListing, listingEntries, type ListedObject, type ListingEntry, type ListingPage } from '../../../src/wire/listing-codec.ts'
import { propertyRuns } from '../../seed.ts'

const object = (name: string, change: Partial<ListedObject> = {}): ListedObject => ({
  name: Buffer.from(name), inode: 1n, linkCount: 1, allocatedBytes: 4096, ctimeNs: 5n, type: 'file', sizeBytes: 10, deviceMajor: 0, deviceMinor: 0,
  symlinkTarget: Buffer.alloc(0), core: { mode: 0o644, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 5n, xattrs: [] }, ...change,
})
const entry = (o: ListedObject): ListingEntry => {
  const [first] = [...listingEntries(encodeListing([o]))]
  if (first === undefined) throw new Error('no entry')
  return first
}
async function* pages(...lists: ListedObject[][]): AsyncGenerator<ListingPage> {
  for (const list of lists) yield encodeListing(list)
}

t.test('a name that only the source has is created', t => {
  t.equal(judge(entry(object('a')), undefined, 'attributes'), 'create')
  t.end()
})

t.test('comparing nothing sends the data of every file and nothing else that is equal', t => {
  t.equal(judge(entry(object('a')), entry(object('a')), 'none'), 'content')
  const directory = object('d', { type: 'directory', sizeBytes: 0 })
  t.equal(judge(entry(directory), entry(directory), 'none'), 'same')
  t.end()
})

t.test('comparing attributes skips what is equal and heals metadata alone', t => {
  const source = object('a')
  t.equal(judge(entry(source), entry({ ...source, inode: 9n, allocatedBytes: 0 }), 'attributes'), 'same')
  t.equal(judge(entry(source), entry({ ...source, core: { ...source.core, mode: 0o600 } }), 'attributes'), 'metadata')
  t.equal(judge(entry(source), entry({ ...source, core: { ...source.core, mtimeNs: 6n } }), 'attributes'), 'content')
  t.equal(judge(entry(source), entry({ ...source, sizeBytes: 11 }), 'attributes'), 'content')
  t.end()
})

t.test('comparing data looks into files whose attributes are equal', t => {
  t.equal(judge(entry(object('a')), entry(object('a')), 'data'), 'verify')
  t.equal(judge(entry(object('a')), entry(object('a', { sizeBytes: 3 })), 'data'), 'content')
  t.end()
})

t.test('another type, link target or device replaces what is there', t => {
  const link = object('l', { type: 'symlink', sizeBytes: 0, symlinkTarget: Buffer.from('x') })
  t.equal(judge(entry(object('l')), entry(link), 'attributes'), 'replace')
  t.equal(judge(entry(link), entry({ ...link, symlinkTarget: Buffer.from('y') }), 'attributes'), 'replace')
  t.equal(judge(entry(link), entry({ ...link, core: { ...link.core, mtimeNs: 7n } }), 'attributes'), 'metadata')
  const node = object('n', { type: 'block', sizeBytes: 0, deviceMajor: 8, deviceMinor: 1 })
  t.equal(judge(entry(node), entry({ ...node, deviceMinor: 2 }), 'attributes'), 'replace')
  t.equal(judge(entry(node), entry({ ...node, core: { ...node.core, uid: 7 } }), 'attributes'), 'metadata')
  t.end()
})

t.test('joining two listings pairs equal names and keeps the others, however the pages are cut', async () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-f]{1,4}$/), { maxLength: 30 })
  await fc.assert(fc.asyncProperty(names, names, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), async (left, right, cutLeft, cutRight) => {
    const cut = (list: string[], size: number): ListedObject[][] => {
      const sorted = [...list].sort().map(n => object(n))
      const lists: ListedObject[][] = []
      for (let at = 0; at < sorted.length; at += size) lists.push(sorted.slice(at, at + size))
      return lists
    }
    const seen: [string | undefined, string | undefined][] = []
    for await (const pairs of joinListings(pages(...cut(left, cutLeft)), pages(...cut(right, cutRight)))) {
      for (const { source, target } of pairs) seen.push([source?.name.toString(), target?.name.toString()])
    }
    const all = [...new Set([...left, ...right])].sort()
    const expected = all.map(n => [left.includes(n) ? n : undefined, right.includes(n) ? n : undefined])
    return JSON.stringify(seen) === JSON.stringify(expected)
  }), propertyRuns())
})
