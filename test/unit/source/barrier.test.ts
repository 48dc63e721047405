import t from 'tap'
import { Barriers } from '../../../src/source/barrier.ts'

t.test('a barrier is passed when what was captured before it, and what the capture had not read yet, is safe', async t => {
  const barriers = new Barriers()
  let passed = false
  const waiting = (async () => {
    await barriers.passed(10_000, AbortSignal.timeout(10_000))
    passed = true
  })()
  for (const upToMs of [9000, 10_000, 11_000]) {
    barriers.noteSafe(upToMs)
    await new Promise(resolve => { setImmediate(resolve) })
    t.equal(passed, false, String(upToMs))
  }
  barriers.noteSafe(11_001)
  await waiting
  t.equal(passed, true)
})

t.test('an abort gives a barrier up and leaves the others', async t => {
  const barriers = new Barriers()
  const stop = new AbortController()
  const given = barriers.passed(0, stop.signal)
  const other = barriers.passed(0, AbortSignal.timeout(10_000))
  stop.abort()
  await t.rejects(given, { name: 'AbortError' })
  barriers.noteSafe(5000)
  await other
})
