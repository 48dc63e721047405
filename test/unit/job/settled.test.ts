import t from 'tap'
import { settledBefore, settledNow } from '../../../src/job/settled.ts'

const T = 1_700_000_000_000

t.test('a report says up to when the replica is known, with room for writes that were under way', async t => {
  t.same(settledNow('one', T, 0), { captureEpoch: 'one', beforeMs: T - 10_000 })
  t.same(settledNow('one', T, 60_000), { captureEpoch: 'one', beforeMs: T - 70_000 })
  t.same(settledNow('one', 5000, 60_000), { captureEpoch: 'one', beforeMs: 0 })
})

t.test('it matters when the capture that knew more has gone', async t => {
  const settled = settledNow('one', T, 0)
  t.equal(settledBefore({ settled }, 'one'), undefined)
  t.equal(settledBefore({ settled }, 'two'), T - 10_000)
  t.equal(settledBefore({ settled: { ...settled, captureEpoch: '' } }, 'one'), T - 10_000)
  t.equal(settledBefore({}, 'one'), undefined)
})
