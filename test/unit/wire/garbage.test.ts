import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { collectAll, noteGarbage } from '../../../src/wire/garbage.ts'

const MIB = 1024 * 1024

/** Makes 512 MiB of short-lived buffers of this size, as a stream does, and counts the full collections that it costs. */
async function fullCollections(bytes: number, note: (bytes: number) => void): Promise<number> {
  let full = 0
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries() as readonly object[]) {
      const detail: unknown = 'detail' in entry ? entry.detail : undefined
      if (typeof detail === 'object' && detail !== null && 'kind' in detail && detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  for (let made = 0; made < 512 * MIB; made += bytes) {
    Buffer.allocUnsafeSlow(bytes)
    note(bytes)
    if (made % (8 * MIB) === 0) await setTimeout(0)
  }
  await setTimeout(10) // the observer is told later
  observer.disconnect()
  return full
}

await t.test('the buffers of a stream are freed without full collections', async t => {
  await fullCollections(64 * 1024, noteGarbage) // what the test runner has left behind
  const noted = await fullCollections(64 * 1024, noteGarbage)
  const unnoted = await fullCollections(64 * 1024, () => undefined)
  t.ok(noted <= 2, `${String(noted)} full collections with notes`)
  t.ok(unnoted > noted, `${String(unnoted)} without`)
})

await t.test('a full collection frees also what has become old', async t => {
  const hold: { buffers: Buffer[] } = { buffers: Array.from({ length: 64 }, () => Buffer.allocUnsafeSlow(MIB)) }
  const one = new WeakRef(hold.buffers[0] ?? Buffer.alloc(0))
  for (let i = 0; i < 3; i++) noteGarbage(64 * MIB)
  await setTimeout(0)
  const before = process.memoryUsage().arrayBuffers
  hold.buffers = []
  await setTimeout(0)
  // a look at the reference itself would keep what it leads to
  const isFreed = (): boolean => before - process.memoryUsage().arrayBuffers > 63 * MIB
  // a marking that was under way keeps what it has passed, and buffers are freed by a thread of their own
  for (let collected = 0; collected < 20 && !isFreed(); collected++) {
    collectAll()
    await setTimeout(10)
  }
  t.ok(before - process.memoryUsage().arrayBuffers > 60 * MIB)
  t.equal(one.deref(), undefined)
})
