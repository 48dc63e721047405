import t from 'tap'
import { CaptureCount } from '../../../src/source/capture-count.ts'

t.test('what is told is more each time, across what is written down and a new agent', t => {
  const count = new CaptureCount(4)
  const told = [count.tell(), count.tell()]
  count.written(count.next)
  told.push(count.tell())
  // killed, and started again with what is on the disk, which counts as written again
  told.push(new CaptureCount(count.next).tell())
  t.same(told, [{ kept: 4, step: 1 }, { kept: 4, step: 2 }, { kept: 5, step: 1 }, { kept: 6, step: 1 }])
  t.end()
})

t.test('less than was told is noticed once, also by one step', t => {
  const count = new CaptureCount(4)
  count.tell()
  t.notOk(count.passes({ kept: 4, step: 1 }))
  t.notOk(count.passes({ kept: 3, step: 99 }))
  t.ok(count.passes({ kept: 4, step: 2 }))
  t.notOk(count.passes({ kept: 4, step: 2 }))
  t.ok(count.passes({ kept: 7, step: 0 }))
  t.same(count.tell(), { kept: 8, step: 1 })
  t.end()
})
