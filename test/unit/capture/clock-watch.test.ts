import t from 'tap'
import { ClockWatch, FurthestBack } from '../../../src/capture/clock-watch.ts'

t.test('a clock that is set back or forward is noticed, slewing is not', t => {
  let wall = 1_000_000
  let monotonic = 0
  const watch = new ClockWatch({ now: () => wall, monotonic: () => monotonic })
  const pass = (ms: number, setMs = 0): ReturnType<ClockWatch['check']> => {
    wall += ms + setMs
    monotonic += ms
    return watch.check()
  }
  t.equal(pass(1000), undefined)
  t.equal(pass(1000, 0.5), undefined)
  t.match(pass(1000, -30_000), { kind: 'clock-set-back', beforeMs: 1_002_000.5, byMs: -30_000, lowestMs: 972_000.5 })
  t.equal(pass(1000), undefined)
  t.match(pass(1000, 60_000), { kind: 'clock-set-forward', byMs: 60_000 })
  t.end()
})

t.test('how far a clock was set back counts from the furthest that it was ahead, and only grows', t => {
  let wall = 1_000_000
  let monotonic = 0
  const back = new FurthestBack({ now: () => wall, monotonic: () => monotonic })
  const pass = (ms: number, setMs = 0): [boolean, number] => {
    wall += ms + setMs
    monotonic += ms
    return [back.look(), back.byMs]
  }
  t.same(pass(1000), [false, 0])
  t.same(pass(1000, -10), [false, 0], 'slewing')
  t.same(pass(1000, 3_600_000), [false, 0], 'forward nothing is missed')
  t.same(pass(1000, -3_600_000), [true, 3_600_000], 'what was looked for meanwhile was by the later time')
  t.same(pass(1000, 3_600_000), [false, 3_600_000], 'what was made meanwhile stays as old as it is')
  t.same(pass(1000, -3_600_500), [true, 3_600_500])
  t.end()
})
