import t from 'tap'
import { resizeFileSystem } from '../../../src/replica/resize-file-system.ts'
import { ext4, GIB, swap, xfs } from './workloads.ts'

t.test('at the same size nothing changes', async t => {
  const fileSystem = ext4('u', 4 * GIB)
  t.equal(resizeFileSystem(fileSystem, 4 * GIB, 4 * GIB), fileSystem)
})

t.test('an ext file system keeps its share of inodes and of reserved blocks, and all of its features', async t => {
  const before = ext4('u', 4 * GIB)
  for (const bytes of [GIB, 6 * GIB]) {
    const after = resizeFileSystem(before, 4 * GIB, bytes)
    t.same(after.features, before.features)
    t.equal(after.properties['blockCount'], String(bytes / 4096))
    t.equal(after.properties['inodeCount'], String(bytes / 16384))
    t.ok(Math.abs(Number(after.properties['reservedBlockCount']) / (bytes / 4096) - 0.05) < 1e-5)
    t.equal(after.properties['errorsBehavior'], 'continue')
  }
})

t.test('a journal stays as large as it is, unless a smaller ext file system would have little room beside it', async t => {
  const before = ext4('u', 4 * GIB)
  const journal = (bytes: number): string | undefined => resizeFileSystem({ ...before, properties: { ...before.properties, journalSizeBytes: String(GIB / 8) } }, 4 * GIB, bytes).properties['journalSizeBytes']
  t.same([journal(8 * GIB), journal(2 * GIB), journal(GIB)], [String(GIB / 8), String(GIB / 8), undefined])
})

t.test('a file system that was smaller than its device grows to the new one', async t => {
  const before = ext4('u', 3 * GIB)
  t.equal(resizeFileSystem(before, 4 * GIB, 8 * GIB).properties['blockCount'], String(8 * GIB / 4096))
})

t.test('an XFS keeps the size of its groups when it grows or shrinks a little; far below mkfs chooses', async t => {
  const before = xfs('u', 4 * GIB)
  t.match(resizeFileSystem(before, 4 * GIB, 10 * GIB).properties, { blocks: String(10 * GIB / 4096), agsize: '262144', agcount: '10' })
  t.match(resizeFileSystem(before, 4 * GIB, 3 * GIB).properties, { blocks: String(3 * GIB / 4096), agsize: '262144', agcount: '3' })
  const small = resizeFileSystem(before, 4 * GIB, GIB)
  t.notOk('agsize' in small.properties || 'log-blocks' in small.properties)
  t.same([small.properties['blocks'], small.features], [String(GIB / 4096), before.features])
})

t.test('swap fills what it is made on', async t => {
  const before = swap('u')
  t.equal(resizeFileSystem(before, GIB, 2 * GIB), before)
})
