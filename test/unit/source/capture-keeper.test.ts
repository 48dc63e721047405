import t from 'tap'
import { createMemoryChangeSource } from '../../../src/capture/memory-change-source.ts'
import type { DegradationKind } from '../../../src/domain/degradation.ts'
import { agentLog } from '../../../src/logging/logger.ts'
import { createReplicator } from '../../../src/replication/replicator.ts'
import { SafePoint } from '../../../src/replication/safe-point.ts'
import { CaptureCount } from '../../../src/source/capture-count.ts'
import { CaptureKeeper } from '../../../src/source/capture-keeper.ts'
import { CaptureFile } from '../../../src/source/kept-capture.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { TreeStream } from '../../tree-stream.ts'
import { cyclesClock } from '../replication/live-source.ts'
import { ROOTS } from './conversation.ts'

const soon = (): AbortSignal => AbortSignal.timeout(10_000)

/** Two clocks of which one can be set. */
function clocks(): { now: () => number, monotonic: () => number, pass: (ms: number) => void, set: (byMs: number) => void } {
  let [passed, wall] = [1000, 1_000_000]
  return { now: () => wall, monotonic: () => passed, pass: ms => { passed += ms; wall += ms }, set: byMs => { wall += byMs } }
}

for (const [kind, byMs] of [['clock-set-back', -600_000], ['clock-set-forward', 600_000]] as const) {
  t.test(`${kind}: it is shown until all that changed since, by both times, was walked over, before the walk is due by itself`, async t => {
    const time = clocks()
    const walks: bigint[] = []
    const changes = createMemoryChangeSource({ epoch: 'e' })
    const watched = Object.assign(changes, { changedSince: async function* (_: number, sinceNs: bigint) { walks.push(sinceNs); yield* [] } })
    const startedAtNs = BigInt(time.now()) * 1_000_000n
    const safe = new SafePoint(startedAtNs, time)
    const keeper = new CaptureKeeper({
      file: new CaptureFile(t.testdir({})), bootId: 'b', identify: async () => 'i', log: agentLog.child({}, { level: 'silent' }),
      readClock: () => ({ wallMs: time.now(), monotonicMs: time.monotonic() }),
    })
    t.teardown(async () => { await keeper.forget() })
    keeper.watch({ jobId: 'j', roots: ROOTS, rules: [], identities: ['i'], epoch: 'e' }, { safe, count: new CaptureCount(0) }, false)
    const shown: DegradationKind[][] = []
    // the clock is set in the third of six cycles; the keeper looks whenever it writes
    let cycles = 0
    const { clock, signal } = cyclesClock(6, async () => {
      time.pass(1000)
      if (++cycles === 3) time.set(byMs)
      await keeper.protect()
      await keeper.keepNow()
    })
    await createReplicator({
      volumes: new Map([[1, new MemoryTree()]]), changes: watched, stream: new TreeStream(new Map([[1, new MemoryTree()]])), safe, clock: { ...clock, now: time.now },
      report: ({ degraded = [] }) => { shown.push(degraded.map(one => one.kind)) },
    }).run(AbortSignal.any([signal, soon()]))
    t.ok(shown.some(kinds => kinds.includes(kind)), 'it is shown')
    t.same(shown.at(-1), [], 'and is over')
    t.equal(walks.length, 1)
    // what has a time from the lowest that the clock can have shown
    t.ok((walks[0] ?? 0n) <= BigInt(Math.min(1_000_000, 1_003_000 + byMs)) * 1_000_000n, String(walks[0]))
  })
}
