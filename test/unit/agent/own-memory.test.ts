import { memoryUsage } from 'node:process'
import t from 'tap'
import { keepSmall } from '../../../src/agent/own-memory.ts'
import { systemClock } from '../../../src/clock/clock.ts'

const MIB = 1024 * 1024

t.test('a large agent gives back what it does not need, and ends with the signal', async t => {
  const hold: { buffers: Buffer[], needed: Buffer[] } = { buffers: [], needed: [] }
  for (let i = 0; i < 256; i++) hold.buffers.push(Buffer.alloc(MIB, 1))
  hold.needed = hold.buffers.splice(0, 32)
  const before = memoryUsage()
  t.ok(before.arrayBuffers >= 256 * MIB && before.rss > 256 * MIB)
  hold.buffers = []
  const over = new AbortController()
  let looks = 0
  const clock = { ...systemClock, sleep: async (): Promise<void> => {
    looks++
    await new Promise(resolve => { setImmediate(resolve) })
    if (looks === 3) over.abort()
  } }
  await keepSmall(clock, over.signal)
  const after = memoryUsage()
  t.equal(looks, 3)
  t.ok(before.arrayBuffers - after.arrayBuffers > 200 * MIB, 'the garbage is gone')
  t.ok(before.rss - after.rss > 150 * MIB, 'and goes back to the kernel')
  t.ok(hold.needed.every(buffer => buffer.length === MIB && buffer[0] === 1))
})
