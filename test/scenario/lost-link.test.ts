/** A link that is lost for hours, on a virtual clock: the agent goes on dialling with growing pauses, changes wait, and all arrives afterwards. */
import t from 'tap'
import { keepConnected } from '../../src/agent/connect.ts'
import type { Clock } from '../../src/clock/clock.ts'
import { AppError } from '../../src/errors/app-error.ts'
import { agentLog } from '../../src/logging/logger.ts'
import { createReplicator } from '../../src/replication/replicator.ts'
import { MemoryTree } from '../../src/tree/memory-tree.ts'
import type { OperationBatch } from '../../src/wire/operation-codec.ts'
import { TreeStream } from '../tree-stream.ts'
import { describe, LiveSource, metadata, path } from '../unit/replication/live-source.ts'
import { VirtualClock } from './virtual-clock.ts'

const HOUR_MS = 3600_000
const log = agentLog.child({}, { level: 'silent' })

/** A line that breaks in the middle of what is sent while it is down. */
class BreakingStream extends TreeStream {
  isDown = false

  override async send(volume: number, batch: OperationBatch, signal: AbortSignal): Promise<number> {
    if (this.isDown) throw new AppError('LINK_LOST', 'the line is down')
    return await super.send(volume, batch, signal)
  }
}

t.test('a link that is lost for hours, and lost again, is dialled with growing, bounded pauses, and all that changed arrives', async t => {
  const virtual = new VirtualClock()
  const source = new LiveSource()
  const replica = new MemoryTree()
  const stream = new BreakingStream(new Map([[0, replica]]))
  await source.refresh()
  const beganMs = virtual.now()
  const isDown = (): boolean => {
    const atMs = virtual.now() - beganMs
    return (atMs > 10_000 && atMs < 5 * HOUR_MS) || (atMs > 5 * HOUR_MS + 45_000 && atMs < 7 * HOUR_MS)
  }
  const over = new AbortController()
  const pauses: number[] = []
  let made = 0
  let most = 0
  const clock: Clock = {
    now: () => virtual.now(),
    sleep: async (ms, signal) => {
      if (stream.isDown) {
        pauses.push(ms)
        // the source goes on changing, the same names again and again
        await source.does({ kind: 'file', path: path(['a', 'b', 'c', 'd'][made % 4] ?? 'a'), sizeBytes: ++made, complete: true, metadata: metadata(0o644), extents: [] })
        most = Math.max(most, source.changes.pending().count)
      }
      await virtual.sleep(ms, signal)
      stream.isDown = isDown()
      if (virtual.now() - beganMs > 7 * HOUR_MS + 45_000) over.abort()
    },
  }
  let connections = 0
  await keepConnected({
    clock, log, random: () => 1,
    serve: async (welcomed, signal) => {
      if (stream.isDown) throw new AppError('LINK_LOST', 'nobody answers')
      welcomed()
      connections++
      const lost = new AbortController()
      const replicator = createReplicator({
        volumes: new Map([[0, source.tree]]), changes: source.changes, stream, report: () => { if (stream.isDown) lost.abort() }, clock,
      })
      await replicator.run(AbortSignal.any([signal, lost.signal]))
      signal.throwIfAborted()
      throw new AppError('LINK_LOST', 'the link was lost')
    },
  }, over.signal)
  t.ok(connections >= 3, `${String(connections)} connections`)
  const long = pauses.filter(ms => ms === 30_000).length
  // seven hours but a minute at half a minute each
  t.ok(long > 800 && long <= 840, `${String(long)} pauses of half a minute`)
  t.ok(pauses.every(ms => ms <= 30_000))
  t.same(pauses.filter(ms => ms >= 500 && ms < 30_000).slice(-6), [500, 1000, 2000, 4000, 8000, 16_000], 'a connection that worked begins with short pauses again')
  t.ok(made > 800 && most <= 8, `${String(most)} marks at most for ${String(made)} changes`)
  t.same(await describe(replica), await describe(source.tree))
})
