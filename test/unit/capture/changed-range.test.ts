import fc from 'fast-check'
import t from 'tap'
import { joinRanges, type ChangedRange } from '../../../src/capture/changed-range.ts'
import { propertyRuns } from '../../seed.ts'

const BLOCK = 4096

function range(from: number, to: number, sure: boolean): ChangedRange {
  return { offset: from * BLOCK, lengthBytes: (to - from) * BLOCK, sure }
}

void t.test('ranges that touch are one, and what is sure somewhere is sure', async t => {
  t.same(joinRanges([range(0, 2, true), range(8, 12, false)], [range(2, 3, true), range(9, 10, true)]),
    [range(0, 3, true), range(8, 9, false), range(9, 10, true), range(10, 12, false)])
  t.same(joinRanges([], []), [])
  t.same(joinRanges([range(4, 6, false)], [range(0, 9, true)]), [range(0, 9, true)])
})

void t.test('joined ranges hold what both hold, in order and without overlaps', async () => {
  const some = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 8 }), fc.boolean()).map(([from, length, sure]) => range(from, from + length, sure)), { maxLength: 20 })
  fc.assert(fc.property(some, some, (a, b) => {
    const joined = joinRanges(a, b)
    const stateOf = (ranges: readonly ChangedRange[], block: number): string => {
      const over = ranges.filter(({ offset, lengthBytes }) => offset <= block * BLOCK && block * BLOCK < offset + lengthBytes)
      return over.some(({ sure }) => sure) ? 'sure' : over.length > 0 ? 'perhaps' : 'not'
    }
    for (let block = 0; block < 70; block++) if (stateOf(joined, block) !== stateOf([...a, ...b], block)) return false
    return joined.every(({ offset }, i) => i === 0 || offset >= (joined[i - 1]?.offset ?? 0) + (joined[i - 1]?.lengthBytes ?? 0))
  }), propertyRuns())
})

void t.test('very many ranges become fewer that hold them all and are to be compared', async t => {
  const many = Array.from({ length: 20_000 }, (_, i) => range(i * 3, i * 3 + 1, true))
  const joined = joinRanges(many, [])
  t.ok(joined.length <= 8192)
  t.ok(joined.every(({ sure }) => !sure))
  t.ok(many.every(one => joined.some(({ offset, lengthBytes }) => offset <= one.offset && one.offset + one.lengthBytes <= offset + lengthBytes)))
})
