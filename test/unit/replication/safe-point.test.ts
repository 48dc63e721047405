import t from 'tap'
import { SafePoint } from '../../../src/replication/safe-point.ts'

/** A wall clock and one that cannot be set. */
function clocks(): { now: () => number, monotonic: () => number, pass: (ms: number) => void, set: (byMs: number) => void } {
  let wall = 100_000
  let monotonic = 5000
  return { now: () => wall, monotonic: () => monotonic, pass: ms => { wall += ms; monotonic += ms }, set: byMs => { wall += byMs } }
}

const NS = 1_000_000n
/** Passes a walk, so that only the marks count. */
const walked = (safe: SafePoint): void => { safe.scanned(1, 1_000_000n * NS, 0); safe.durable(0) }

t.test('it moves on to the taking before what is not durable', t => {
  const time = clocks()
  const safe = new SafePoint(90_000n * NS, time)
  t.equal(safe.safeMs, 90_000)
  time.pass(1000)
  safe.taking()
  safe.sent(1)
  walked(safe)
  t.equal(safe.safeMs, 90_000, 'the first taking may give what was marked since the beginning')
  safe.durable(1)
  t.equal(safe.safeMs, 101_000)
  time.pass(1000)
  safe.taking()
  safe.sent(2)
  safe.durable(1)
  t.equal(safe.safeMs, 101_000, 'what was taken then may be as old as the taking before')
  t.end()
})

t.test('what is marked again holds it, and a refusal holds it where it is', t => {
  const time = clocks()
  const safe = new SafePoint(90_000n * NS, time)
  safe.taking()
  safe.sent(1)
  walked(safe)
  safe.durable(1)
  const before = safe.safeMs
  time.pass(500)
  safe.taking()
  safe.hold()
  safe.sent(2)
  safe.durable(2)
  t.equal(safe.safeMs, before)
  time.pass(500)
  safe.taking()
  safe.sent(3)
  safe.durable(2)
  t.equal(safe.safeMs, before, 'it is in the batch that is on the way')
  safe.durable(3)
  t.equal(safe.safeMs, time.now())
  t.end()
})

t.test('it never passes the last walk over change times', t => {
  const time = clocks()
  const safe = new SafePoint(90_000n * NS, time)
  t.equal(safe.scannedNs(1), 90_000n * NS)
  time.pass(5000)
  safe.taking()
  safe.sent(1)
  safe.durable(1)
  t.equal(safe.safeMs, 90_000)
  safe.scanned(1, 104_000n * NS, 2)
  safe.durable(1)
  t.equal(safe.safeMs, 90_000, 'what the walk found is not durable yet')
  safe.durable(2)
  t.equal(safe.safeMs, 104_000)
  t.end()
})

t.test('a clock that is set back takes it back, and asks for a walk', t => {
  const time = clocks()
  const safe = new SafePoint(90_000n * NS, time)
  walked(safe)
  time.pass(1000)
  safe.taking()
  safe.sent(1)
  safe.durable(1)
  time.pass(10)
  time.set(-50_000)
  safe.taking()
  safe.sent(2)
  safe.durable(1)
  t.ok(safe.safeMs <= 51_000, 'a change right after the jump has such a ctime')
  safe.clockWasSet('clock-set-back', 101_000, 40_000)
  t.ok(safe.safeMs <= 40_000)
  t.equal(safe.scannedNs(1), 40_000n * NS)
  t.ok(safe.wantsScan)
  t.same(safe.degraded, [{ kind: 'clock-set-back', sinceMs: 101_000 }])
  safe.scanning()
  safe.clockWasSet('clock-set-forward', 60_000, 60_000)
  safe.scanOver()
  t.same(safe.degraded, [{ kind: 'clock-set-forward', sinceMs: 60_000 }], 'what happened during the walk wants another one')
  t.end()
})

t.test('a lost link leaves it where it was', t => {
  const time = clocks()
  const safe = new SafePoint(90_000n * NS, time)
  walked(safe)
  time.pass(1000)
  safe.taking()
  safe.sent(7)
  safe.holdSent()
  time.pass(1000)
  safe.durable(0)
  t.equal(safe.safeMs, 90_000)
  t.end()
})
