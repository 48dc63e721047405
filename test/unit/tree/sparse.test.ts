import fc from 'fast-check'
import t from 'tap'
import { SparseData } from '../../../src/tree/sparse.ts'
import { propertyRuns } from '../../seed.ts'

const SIZE = 64
const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), at: fc.nat(SIZE), length: fc.nat(20) }),
  fc.record({ kind: fc.constant('punch' as const), at: fc.nat(SIZE), length: fc.nat(20) }),
  fc.record({ kind: fc.constant('resize' as const), at: fc.nat(SIZE), length: fc.constant(0) }),
)

void t.test('any writes, holes and sizes read as they would in a plain buffer', async t => {
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), steps => {
    const sparse = new SparseData()
    let plain = Buffer.alloc(0)
    for (const [i, { kind, at, length }] of steps.entries()) {
      const grown = (sizeBytes: number): Buffer<ArrayBuffer> => Buffer.concat([plain, Buffer.alloc(Math.max(0, sizeBytes - plain.length))])
      if (kind === 'write') {
        sparse.write(at, Buffer.alloc(length, i + 1))
        if (length > 0) plain = grown(at + length).fill(i + 1, at, at + length)
      } else if (kind === 'punch') {
        sparse.punch(at, length)
        plain.fill(0, Math.min(at, plain.length), Math.min(at + length, plain.length))
      } else {
        sparse.resize(at)
        plain = grown(at).subarray(0, at)
      }
      if (sparse.sizeBytes !== plain.length || !sparse.read(0, 1000).equals(plain)) return false
    }
    return sparse.ranges().every((r, i, all) => r.lengthBytes > 0 && (i === 0 || (all[i - 1]?.offset ?? 0) + (all[i - 1]?.lengthBytes ?? 0) < r.offset))
  }), propertyRuns())
  t.pass()
})

void t.test('runs that touch are told as one, and holes between them are kept', async t => {
  const sparse = new SparseData()
  sparse.write(0, Buffer.from('ab'))
  sparse.write(2, Buffer.from('cd'))
  sparse.write(10, Buffer.from('e'))
  t.same(sparse.ranges(), [{ offset: 0, lengthBytes: 4 }, { offset: 10, lengthBytes: 1 }])
  t.equal(sparse.read(3, 8).toString('latin1'), 'd\0\0\0\0\0\0e')
})
