import t from 'tap'
import { exitCodeOf, isMet, type Figure } from '../../bench/verdict.ts'
import { figuresOf } from '../../bench/mirror.ts'

const met: Figure[] = [
  { what: 'latency p99', value: 2000, unit: 'ms', most: 2000 }, { what: 'times as fast', value: 1.5, unit: '', least: 1.5 },
  { what: 'agent, of one core', value: 400, unit: '%' }, { what: 'differences', value: 0, unit: '', most: 0 },
]

t.test('a bench in which all is as it is wanted ends with 0, strictly, too', async t => {
  t.equal(exitCodeOf(met, false), 0)
  t.equal(exitCodeOf(met, true), 0)
  t.equal(exitCodeOf([], true), 0)
})

t.test('one row that misses what is wanted ends a strict bench with 7, and no other', async t => {
  for (const missed of [{ what: 'latency p99', value: 2000.1, unit: 'ms', most: 2000 }, { what: 'times as fast', value: 1.49, unit: '', least: 1.5 }, { what: 'frozen', value: NaN, unit: 'ms', most: 2000 }, { what: 'latency p50', value: NaN, unit: 'ms' }]) {
    t.notOk(isMet(missed), missed.what)
    t.equal(exitCodeOf([...met, missed], true), 7, missed.what)
    t.equal(exitCodeOf([...met, missed], false), 0, missed.what)
  }
})

t.test('a replica that differed ends every bench with 7', async t => {
  for (const strict of [true, false]) t.equal(exitCodeOf([...met, { what: 'differences', value: 1, unit: '', most: 0 }], strict), 7)
})

t.test('a mirror bench is judged by its ratios and by its memory', async t => {
  const row = { work: 'small', peer: 'tar', oursMs: 100, peerMs: 130, ratio: 1.3, least: 1.3, oursCpuMs: 1, peerCpuMs: 1, runs: { ours: [], peer: [] } }
  const memory = { work: 'many files', agentMiB: 183, receiverMiB: 200, ms: 1 }
  t.equal(exitCodeOf(figuresOf({ rows: [row], memory: [memory] }), true), 0)
  t.equal(exitCodeOf(figuresOf({ rows: [row, { ...row, ratio: 1.29 }], memory: [memory] }), true), 7)
  t.equal(exitCodeOf(figuresOf({ rows: [row], memory: [{ ...memory, agentMiB: 201 }] }), true), 7)
  t.equal(exitCodeOf(figuresOf({ rows: [row], memory: [{ ...memory, receiverMiB: 201 }] }), true), 7)
  t.equal(exitCodeOf(figuresOf({ rows: [{ ...row, ratio: 0.1 }], memory: [] }), false), 0)
})
