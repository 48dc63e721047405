import { getPriority } from 'node:os'
import { readdirSync } from 'node:fs'
import t from 'tap'
import { nextNice, OwnLoad, waitingForProcessor } from '../../../src/agent/own-load.ts'

const limits = { lowest: 0, highest: 10 }

void t.test('it steps back while the source is short of processor time, to its limit, and comes forward when there is plenty', async t => {
  t.equal(nextNice(0, 60, limits), 5)
  t.equal(nextNice(5, 60, limits), 10)
  t.equal(nextNice(10, 99, limits), 10)
  t.equal(nextNice(10, 15, limits), 10, 'in between it stays')
  t.equal(nextNice(10, 1, limits), 5)
  t.equal(nextNice(0, 0, limits), 0)
  t.equal(nextNice(12, 99, { lowest: 12, highest: 12 }), 12, 'an agent that was started nicer than the limit is left alone')
})

void t.test('what it takes is measured, and all its threads step back', async t => {
  const load = new OwnLoad(19)
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

void t.test('the pressure is a percentage', async t => {
  const percent = waitingForProcessor()
  t.ok(percent >= 0 && percent <= 100)
})
