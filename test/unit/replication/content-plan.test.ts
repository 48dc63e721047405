import t from 'tap'
import { askedAtOnce, sortOut } from '../../../src/replication/content-plan.ts'

const MIB = 1024 * 1024

void t.test('holes of the ranges are punched, up to the end of the file and no further', async t => {
  const ranges = [{ offset: 0, lengthBytes: 8192, sure: false }, { offset: 16384, lengthBytes: Number.MAX_SAFE_INTEGER - 16384, sure: false }]
  const { holes, compared } = sortOut(ranges, [{ offset: 4096, lengthBytes: 4096 }, { offset: 20480, lengthBytes: 100 }], 30000)
  t.same(holes, [{ offset: 0, lengthBytes: 4096 }, { offset: 16384, lengthBytes: 4096 }, { offset: 20580, lengthBytes: 30000 - 20580 }])
  t.same(compared, [{ offset: 4096, lengthBytes: 20580 - 4096 }], 'near ones are one question')
})

void t.test('what lies behind the end of the file is nothing', async t => {
  t.same(sortOut([{ offset: 8192, lengthBytes: 4096, sure: true }], [], 5000), { holes: [], sure: [], compared: [] })
  t.same(sortOut([], [], 5000), { holes: [], sure: [], compared: [] })
})

void t.test('small runs that were surely stored to are sent, large ones compared in windows', async t => {
  const small = { offset: 4096, lengthBytes: 8192 }
  const large = { offset: 16 * MIB, lengthBytes: 20 * MIB }
  const { sure, compared } = sortOut([{ ...small, sure: true }, { ...large, sure: true }], [small, large], 100 * MIB)
  t.same(sure, [small])
  t.same(compared.map(({ offset, lengthBytes }) => [offset / MIB, lengthBytes / MIB]), [[16, 8], [24, 8], [32, 4]])
})

void t.test('questions wait together, in few bytes and not too many', async t => {
  const windows = (count: number, lengthBytes: number): { offset: number, lengthBytes: number }[] => Array.from({ length: count }, (_, i) => ({ offset: i * 16 * MIB, lengthBytes }))
  t.same(askedAtOnce(windows(20, 4096)).map(group => group.length), [8, 8, 4])
  t.same(askedAtOnce(windows(3, 8 * MIB)).map(group => group.length), [1, 1, 1])
  t.same(askedAtOnce(windows(5, 3 * MIB)).map(group => group.length), [2, 2, 1])
  t.same(askedAtOnce([]), [])
})
