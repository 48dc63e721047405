import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { ReportSender } from '../../../src/source/report-sender.ts'

const finding = (n: number, bytes = 10): Finding => ({ code: 'X', severity: 'warning', subject: String(n), message: 'm'.repeat(bytes), advice: '' })

t.test('while one report is sent the figures are replaced and the findings joined', async t => {
  const sent: [number, string[]][] = []
  const gate = Promise.withResolvers<undefined>()
  const reports = new ReportSender<number>(async (progress, findings) => {
    sent.push([progress, findings.map(f => f.subject)])
    await gate.promise
  })
  reports.report(1, [finding(1)])
  reports.report(2, [finding(2)])
  reports.report(3, [finding(3)])
  gate.resolve(undefined)
  await reports.finish()
  t.same(sent, [[1, ['1']], [3, ['2', '3']]])
  reports.report(4, [])
  await reports.finish()
  t.same(sent.at(-1), [4, []])
})

t.test('many findings go in several messages, each well below the limit', async t => {
  const sizes: number[] = []
  const reports = new ReportSender<number>(async (_, findings) => { sizes.push(findings.length) })
  reports.report(1, Array.from({ length: 100 }, (_, i) => finding(i, 20_000)))
  await reports.finish()
  t.equal(sizes.reduce((a, b) => a + b, 0), 100)
  t.ok(Math.max(...sizes) * 20_000 < 300 * 1024)
})

t.test('a link that has ended is no error here, and nothing more is sent', async t => {
  let calls = 0
  const reports = new ReportSender<number>(async () => {
    calls++
    throw new Error('gone')
  })
  reports.report(1, Array.from({ length: 100 }, (_, i) => finding(i, 20_000)))
  await reports.finish()
  t.equal(calls, 1)
})
