import t from 'tap'
import type { AgentLoad, ReplicationProgress } from '../../../src/domain/progress.ts'
import type { AgentWork, FollowedLoad } from '../../../src/source/session-replication.ts'
import type { Targets } from '../../../src/source/source-server.ts'
import { MemoryTree } from '../../../src/tree/memory-tree.ts'
import { at, change, converse, directory, file, ROOTS, soon, TestSource } from './conversation.ts'

/** Nothing on it is durable before `flushed` is resolved. */
class HeldTree extends MemoryTree {
  readonly flushed = Promise.withResolvers<undefined>()
  held = false
  override async flush(): Promise<void> {
    if (this.held) await this.flushed.promise
  }
}

class ToldLoad implements FollowedLoad {
  readonly current: AgentLoad = { cpuPercent: 1, memoryBytes: 2, nice: 5, isBehind: true }
  works: AgentWork[] = []
  isSourceShort(): boolean { return false }
  follow(work: AgentWork): void { this.works.push(work) }
  /** undefined while it does not replicate */
  get behindMs(): (() => number) | undefined {
    const work = this.works.at(-1)
    return typeof work === 'object' ? work.behindMs : undefined
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition();) {
    if (Date.now() > deadline) throw new Error(`${what} did not come`)
    await new Promise(resolve => { setTimeout(resolve, 10) })
  }
}

t.test('while it replicates, and only then, the agent knows how far it is behind: by the oldest change that is not durable', async t => {
  await using source = new TestSource()
  await change(source.tree, directory('etc'), file('etc/a', 'a'))
  const load = new ToldLoad()
  await using talk = await converse(source, { load })
  const target = new HeldTree()
  const targets: Targets = new Map([[1, target]])
  await talk.server.prepare('job-1', ROOTS, [], soon())
  await talk.server.mirror({ compare: 'none', orphans: 'delete' }, targets, () => undefined, soon())
  t.equal(load.behindMs, undefined)

  target.held = true
  await change(source.tree, file('late', 'late'))
  source.changes.mark({ kind: 'entry', volume: 1, path: at('late'), atMs: Date.now() - 60_000 })
  const stop = new AbortController()
  const told: ReplicationProgress[] = []
  const replicating = talk.server.replicate(targets, progress => { told.push(progress) }, stop.signal)
  // it is sent and applied, and nothing waits at the source any more
  await until('the change', () => source.changes.pending().count === 0 && load.behindMs !== undefined)
  t.ok((load.behindMs?.() ?? 0) >= 60_000)
  target.flushed.resolve(undefined)
  await until('durability', () => load.behindMs?.() === 0)
  await until('a report', () => told.length > 0)
  t.match(told[0]?.agent, { nice: 5, isBehind: true })
  stop.abort()
  await replicating
  await until('the end of the replication', () => load.behindMs === undefined)
  await talk.server.drain({ freeze: false, holdMs: 60_000 }, targets, () => undefined, soon())
  t.same(load.works.slice(1), ['other', 'drain', 'other'], 'a drain is told as such')
})

t.test('how long changes took is still told after the source connected again', async t => {
  await using source = new TestSource()
  const targets: Targets = new Map([[1, new MemoryTree()]])
  const longest: (number | undefined)[] = []
  for (const connection of [1, 2]) {
    await using talk = await converse(source)
    await talk.server.prepare('job-1', ROOTS, [], soon())
    if (connection === 1) {
      await change(source.tree, file('late', 'late'))
      source.changes.mark({ kind: 'entry', volume: 1, path: at('late'), atMs: Date.now() - 60_000 })
    }
    const { progress } = await talk.server.drain({ freeze: false, holdMs: 60_000 }, targets, () => undefined, soon())
    longest.push(progress.latencyMsMax)
  }
  t.ok((longest[0] ?? 0) >= 60_000)
  t.equal(longest[1], longest[0])
})
