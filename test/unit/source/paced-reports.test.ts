import t from 'tap'
import type { Clock } from '../../../src/clock/clock.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import { PacedReports } from '../../../src/source/paced-reports.ts'

const finding = (n: number): Finding => ({ code: 'X', severity: 'warning', subject: String(n), message: '', advice: '' })

/** Sleeps until it is told that the time has come. */
function stoppedClock(): Clock & { tick(): Promise<void> } {
  let wake: (() => void) | undefined
  return {
    now: () => 0,
    sleep: async (_, signal) => {
      await new Promise<void>((resolve, reject) => {
        wake = resolve
        signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true })
      })
    },
    tick: async () => {
      wake?.()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

t.test('what comes faster than the pace is joined: the newest figures, all findings', async t => {
  const clock = stoppedClock()
  const told: [number, string[]][] = []
  const reports = new PacedReports<number>((progress, findings) => { told.push([progress, findings.map(f => f.subject)]) }, clock)
  reports.take(1, [finding(1)])
  for (let i = 2; i <= 500; i++) reports.take(i, [finding(i)])
  t.same(told, [[1, ['1']]])
  await clock.tick()
  t.same(told.slice(1), [[500, Array.from({ length: 499 }, (_, i) => String(i + 2))]])
  await clock.tick()
  t.equal(told.length, 2, 'nothing new, nothing told')
  reports.take(501, [])
  t.same(told[2], [501, []], 'after a pause at once')
  reports.take(502, [finding(502)])
  await reports.finish()
  t.same(told[3], [502, ['502']])
  await reports.finish()
  t.equal(told.length, 4)
})

t.test('findings do not pile up without bounds', async t => {
  const told: number[] = []
  const reports = new PacedReports<number>((_, findings) => { told.push(findings.length) }, stoppedClock())
  for (let i = 0; i < 10_000; i++) reports.take(i, [finding(i)])
  t.ok(told.length >= 9)
  t.ok(Math.max(...told) <= 1001)
  await reports.finish()
  t.equal(told.reduce((a, b) => a + b), 10_000)
})

t.test('what a report throws is thrown to the one who finishes', async t => {
  const clock = stoppedClock()
  let fails = false
  const reports = new PacedReports<number>(() => { if (fails) throw new Error('store') }, clock)
  reports.take(1, [])
  fails = true
  reports.take(2, [])
  await clock.tick()
  await t.rejects(reports.finish(), { message: 'store' })
})
