import t from 'tap'
import { Arrivals } from '../../../src/mirror/arrivals.ts'
import { judge, type Compare } from '../../../src/mirror/compare.ts'
import { encodeListing, listingEntries, type ListedObject, type ListingEntry } from '../../../src/wire/listing-codec.ts'

const SENT_MS = 1000
const UNSURE_MS = 5000
const arrivals = new Arrivals({ volume: 0, sentSinceMs: SENT_MS, unsure: [[UNSURE_MS, 6000], [9000, Number.MAX_SAFE_INTEGER]], forgottenForMs: null }, 0)

function entry(ctimeMs: number, mode = 0o644, sizeBytes = 10): ListingEntry {
  const object: ListedObject = {
    name: Buffer.from('a'), inode: 1n, linkCount: 1, allocatedBytes: 4096, ctimeNs: BigInt(ctimeMs) * 1_000_000n, type: 'file', sizeBytes, deviceMajor: 0, deviceMinor: 0,
    symlinkTarget: Buffer.alloc(0), core: { mode, uid: 0, gid: 0, flags: 0, projectId: 0, mtimeNs: 5n, xattrs: [] },
  }
  const [first] = [...listingEntries(encodeListing([object]))]
  if (first === undefined) throw new Error('no entry')
  return first
}
const verdict = (compare: Compare, target: ListingEntry): string => judge(entry(1), target, compare, arrivals)

t.test('comparing nothing, what the interrupted mirror sent and flushed is not sent again', async t => {
  t.equal(verdict('none', entry(SENT_MS)), 'same')
  t.equal(verdict('none', entry(SENT_MS, 0o600)), 'metadata')
  t.equal(verdict('none', entry(SENT_MS - 1)), 'content', 'it was there before')
  t.equal(verdict('none', entry(SENT_MS, 0o644, 5)), 'content', 'it is not finished')
})

t.test('what may be torn is compared block by block, not believed and not sent whole', async t => {
  for (const compare of ['none', 'attributes', 'data'] as const) {
    t.equal(verdict(compare, entry(UNSURE_MS)), 'verify')
    t.equal(verdict(compare, entry(10_000)), 'verify')
  }
  t.equal(verdict('attributes', entry(6000)), 'same')
  t.equal(verdict('attributes', entry(SENT_MS - 1)), 'same')
  t.equal(verdict('data', entry(6000)), 'verify')
})

t.test('what changed on the source while changes were forgotten is compared, though it has its times from before', async t => {
  const now = 1_000_000
  const arrivals = new Arrivals({ volume: 0, sentSinceMs: null, unsure: [], forgottenForMs: 60_000 }, now)
  const verdict = (changedMs: number): string => judge(entry(changedMs), entry(1), 'attributes', arrivals)
  t.equal(verdict(now), 'verify')
  t.equal(verdict(now - 60_000), 'verify')
  t.equal(verdict(now - 60_000 - 10_000), 'verify', 'a margin for clocks')
  t.equal(verdict(now - 60_000 - 10_001), 'same')
})

t.test('times before the epoch and beyond any clock are answered, too', async t => {
  t.equal(verdict('none', entry(-5)), 'content')
  t.equal(verdict('none', entry(4_000_000_000_000)), 'verify')
})
