import { getPriority } from 'node:os'
import { readdirSync } from 'node:fs'
import t from 'tap'
import { nextStanding, OwnLoad, waitingForProcessor, type Standing } from '../../../src/agent/own-load.ts'

const limits = { lowest: 0, highest: 10, maxBehindMs: 10_000 }

/** How nice it is after it was so nice, behind or not. */
function nextNice(nice: number, waitingPercent: number, { behindMs = 0, isBehind = false, of = limits } = {}): number {
  return nextStanding({ nice, isBehind }, { waitingPercent, behindMs }, of).nice
}

void t.test('it steps back while the source is short of processor time, to its limit, and comes forward when there is plenty', async t => {
  t.equal(nextNice(0, 60), 5)
  t.equal(nextNice(5, 60), 10)
  t.equal(nextNice(10, 99), 10)
  t.equal(nextNice(10, 15), 10, 'in between it stays')
  t.equal(nextNice(10, 1), 5)
  t.equal(nextNice(0, 0), 0)
  t.equal(nextNice(12, 99, { of: { ...limits, lowest: 12, highest: 12 } }), 12, 'an agent that was started nicer than the limit is left alone')
  t.equal(nextNice(5, 60, { behindMs: 10_000 }), 10, 'it may be behind by as much as the limit')
})

void t.test('it is as it was started while replication is behind by more than the limit, until it has caught up', async t => {
  const short = (behindMs: number, before: Standing): Standing => nextStanding(before, { waitingPercent: 99, behindMs }, { ...limits, lowest: 2 })
  t.same(short(10_001, { nice: 10, isBehind: false }), { nice: 2, isBehind: true }, 'at once, however short the source is')
  t.same(short(5001, { nice: 2, isBehind: true }), { nice: 2, isBehind: true }, 'half of the limit is not caught up yet')
  t.same(short(5000, { nice: 2, isBehind: true }), { nice: 7, isBehind: false }, 'then it steps back again')
  t.same(short(5001, { nice: 2, isBehind: false }), { nice: 7, isBehind: false })
})

void t.test('what it takes is measured, and all its threads step back', async t => {
  const load = new OwnLoad({ maxNice: 19, maxBehindMs: 10_000 })
  const began = process.cpuUsage()
  while (process.cpuUsage(began).user < 50_000) Math.sqrt(Math.random())
  const before = getPriority()
  load.look(100)
  t.ok(load.current.cpuPercent > 0)
  t.ok(load.current.memoryBytes > 10_000_000)
  const nice = Math.min(19, before + 5)
  t.equal(load.current.nice, Math.max(before, nice))
  t.ok(readdirSync('/proc/self/task').every(thread => getPriority(Number(thread)) === load.current.nice))
})

void t.test('all its threads come forward while what it follows is too far behind', { skip: process.getuid?.() === 0 ? false : 'needs root to come forward' }, async t => {
  const before = getPriority()
  const load = new OwnLoad({ maxNice: 19, maxBehindMs: 10_000 })
  load.look(100)
  t.ok(load.current.nice > before)
  let behindMs = 10_001
  load.follow(() => behindMs)
  load.look(100)
  t.match(load.current, { nice: before, isBehind: true })
  t.ok(readdirSync('/proc/self/task').every(thread => getPriority(Number(thread)) === before))
  behindMs = 400
  load.look(100)
  t.ok(load.current.nice > before)
  t.notOk('isBehind' in load.current)
  behindMs = 10_001
  load.follow(undefined)
  load.look(100)
  t.notOk('isBehind' in load.current, 'nothing is behind when nothing is replicated')
})

void t.test('the pressure is a percentage', async t => {
  const percent = waitingForProcessor()
  t.ok(percent >= 0 && percent <= 100)
})
