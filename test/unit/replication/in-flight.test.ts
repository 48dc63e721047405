import t from 'tap'
import type { Change } from '../../../src/capture/change-source.ts'
import { parseRelPath } from '../../../src/domain/rel-path.ts'
import { InFlight } from '../../../src/replication/in-flight.ts'

let now = 0
const clock = { now: () => now, sleep: async () => undefined }
const change = (atMs: number): Change => ({ kind: 'data', volume: 0, path: parseRelPath(Buffer.from('f')), atMs })

void t.test('a change counts with its age when it is durable, and one that a walk found does not', async t => {
  const inFlight = new InFlight(clock)
  now = 1000
  inFlight.add([change(900)], 1)
  inFlight.add([change(100)], 2, { isTimed: false })
  t.equal(inFlight.oldestAtMs, 100)
  inFlight.durable(2)
  t.equal(inFlight.latencyMsMax, 100)
  t.equal(inFlight.applied, 2)
  t.equal(inFlight.count, 0)
})

void t.test('what is not durable is taken back, however it was found', async t => {
  const inFlight = new InFlight(clock)
  inFlight.add([change(1)], 1)
  inFlight.add([change(2), change(3)], 2, { isTimed: false })
  inFlight.durable(1)
  t.same(inFlight.takeBack().map(({ atMs }) => atMs), [2, 3])
})

void t.test('a change is timed when it becomes durable, though the cycle that takes it off comes later', async t => {
  const inFlight = new InFlight(clock)
  const stream = { durable: 0, reached: Promise.withResolvers<undefined>(), whenDurable: async () => { await stream.reached.promise } }
  now = 1000
  inFlight.add([change(900)], 1)
  const timing = inFlight.time(stream)
  now = 1300
  stream.durable = 1
  stream.reached.resolve(undefined)
  await timing
  t.equal(inFlight.latencyMsMax, 400)
  t.equal(inFlight.count, 1)
  now = 9000
  inFlight.durable(1)
  t.equal(inFlight.latencyMsMax, 400, 'once')
  t.equal(inFlight.count, 0)
  inFlight.add([change(1)], 2)
  await inFlight.time({ durable: 1, whenDurable: async () => { await Promise.reject(new Error('the link has ended')) } })
  t.equal(inFlight.takeBack().length, 1)
})
