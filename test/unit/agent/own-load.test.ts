import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism, getPriority } from 'node:os'
import { execa } from 'execa'
import t from 'tap'
import { nextStanding, OwnLoad, type Standing } from '../../../src/agent/own-load.ts'
import type { AgentWork } from '../../../src/source/session-replication.ts'

const limits = { lowest: 0, highest: 15, maxBehindMs: 10_000 }
const behind = (ms: number): AgentWork => ({ behindMs: () => ms })

/** How nice a mirror is after it was so nice. */
function nextNice(nice: number, waitingPercent: number, of = limits): number {
  return nextStanding({ nice, isBehind: false }, { waitingPercent, work: 'other' }, of).nice
}

void t.test('a mirror steps back while the source is short of processor time, a little, and comes forward when there is plenty', async t => {
  t.equal(nextNice(0, 60), 5)
  t.equal(nextNice(5, 60), 5)
  t.equal(nextNice(5, 15), 5, 'in between it stays')
  t.equal(nextNice(5, 1), 0)
  t.equal(nextNice(0, 15), 0)
  t.equal(nextNice(15, 15), 5, 'and what replication was is not its own')
  t.equal(nextNice(0, 60, { ...limits, highest: 3 }), 3)
  t.equal(nextNice(12, 99, { ...limits, lowest: 12, highest: 12 }), 12, 'an agent that was started nicer than the limit is left alone')
})

void t.test('replication stands back at once, but comes forward step by step while it is behind by more than the limit, until it has caught up', async t => {
  const next = (ms: number, before: Standing): Standing => nextStanding(before, { waitingPercent: 0, work: behind(ms) }, { ...limits, lowest: 2 })
  t.same(next(0, { nice: 2, isBehind: false }), { nice: 15, isBehind: false })
  t.same(next(10_000, { nice: 15, isBehind: false }), { nice: 15, isBehind: false }, 'it may be behind by as much as the limit')
  t.same(next(10_001, { nice: 15, isBehind: false }), { nice: 10, isBehind: true })
  t.same(next(10_001, { nice: 10, isBehind: true }), { nice: 5, isBehind: true })
  t.same(next(10_001, { nice: 5, isBehind: true }), { nice: 2, isBehind: true }, 'as the agent was started, and no further')
  t.same(next(5001, { nice: 2, isBehind: true }), { nice: 2, isBehind: true }, 'half of the limit is not caught up yet')
  t.same(next(5000, { nice: 2, isBehind: true }), { nice: 15, isBehind: false }, 'then it stands back again')
})

void t.test('a drain never stands back, however short the source is', async t => {
  t.same(nextStanding({ nice: 15, isBehind: false }, { waitingPercent: 100, work: 'drain' }, limits), { nice: 0, isBehind: false })
  t.same(nextStanding({ nice: 0, isBehind: true }, { waitingPercent: 100, work: 'drain' }, limits), { nice: 0, isBehind: false })
})

void t.test('what it takes is measured, and all its threads step back', async t => {
  const load = new OwnLoad({ maxNice: 19, maxBehindMs: 10_000 })
  const began = process.cpuUsage()
  while (process.cpuUsage(began).user < 50_000) Math.sqrt(Math.random())
  const before = getPriority()
  load.look(100)
  t.ok(load.current.cpuPercent > 0)
  t.ok(load.current.memoryBytes > 10_000_000)
  t.equal(load.current.nice, Math.max(before, Math.min(19, before + 5)))
  t.ok(readdirSync('/proc/self/task').every(thread => getPriority(Number(thread)) === load.current.nice))
})

void t.test('all its threads stand as its work wants it', { skip: process.getuid?.() === 0 ? false : 'needs root to come forward' }, async t => {
  const before = getPriority()
  const load = new OwnLoad({ maxNice: 19, maxBehindMs: 10_000 })
  const stands = (nice: number): void => {
    t.equal(load.current.nice, nice)
    t.ok(readdirSync('/proc/self/task').every(thread => getPriority(Number(thread)) === nice))
  }
  let behindMs = 0
  load.follow({ behindMs: () => behindMs })
  stands(19)
  behindMs = 10_001
  load.look(100)
  stands(14)
  for (let nice = 14; nice > before; nice -= 5) load.look(100)
  stands(before)
  t.match(load.current, { isBehind: true })
  behindMs = 400
  load.look(100)
  stands(19)
  t.notOk('isBehind' in load.current)
  load.follow('drain')
  stands(before)
  load.look(100)
  stands(before)
  t.notOk('isBehind' in load.current, 'a drain is not behind')
})

void t.test('cycles begin less often while something waits for a processor, not when nothing does, nor while replication is behind', { skip: existsSync('/proc/pressure/cpu') ? false : 'the kernel does not tell' }, async t => {
  const load = new OwnLoad({ maxNice: 19, maxBehindMs: 10_000 })
  load.isSourceShort()
  const spinning = availableParallelism() + 2
  await keepBusy(spinning, 1500)
  t.ok(load.isSourceShort())
  load.follow({ behindMs: () => 20_000 })
  await keepBusy(spinning, 500)
  t.notOk(load.isSourceShort(), 'replication is behind')
})

/** Programs that want a processor each. */
async function keepBusy(programs: number, ms: number): Promise<void> {
  await Promise.all(Array.from({ length: programs }, async () => { await execa('timeout', [String(ms / 1000), 'sh', '-c', 'while :; do :; done'], { reject: false }) }))
}
