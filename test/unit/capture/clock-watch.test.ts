import t from 'tap'
import { ClockWatch } from '../../../src/capture/clock-watch.ts'

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
