import t from 'tap'
import { jobLine, shorten } from '../../../src/cli/job-line.ts'
import type { MirrorFigures } from '../../../src/cli/mirror-meter.ts'
import { jobView, mirroring, protecting } from './records.ts'

const figures: MirrorFigures = { share: 0.452, doneBytes: 452 * 2 ** 20, foundBytes: 1000 * 2 ** 20, bytesPerSecond: 85.3 * 2 ** 20, remainingMs: 6400 }

t.test('a mirror shows bar, percent, amount, rate and remaining time', t => {
  t.equal(jobLine(mirroring(452 * 2 ** 20), figures, 120), 'mirroring  [##################                      ]  45.2 %  452 MiB of 0.98 GiB  85.3 MiB/s  7 s left')
  t.end()
})

t.test('a narrow terminal gets no bar and never a second line', t => {
  for (let columns = 10; columns < 130; columns++) t.ok(jobLine(mirroring(0), figures, columns).length < columns, String(columns))
  t.notMatch(jobLine(mirroring(0), figures, 60), /\[/)
  t.end()
})

t.test('while files are still found the amount is marked and there is no remaining time', t => {
  const view = mirroring(1)
  const walking = { ...view, ...(view.mirror === undefined ? {} : { mirror: { ...view.mirror, walked: false, findings: 1 } }) }
  const line = jobLine(walking, { ...figures, remainingMs: undefined, bytesPerSecond: undefined }, 200)
  t.match(line, /of 0.98 GiB\+ {2}1 finding$/)
  t.end()
})

t.test('protection shows the recovery point latency and the queue', t => {
  t.equal(jobLine(protecting(), undefined, 200), 'protecting  latency 120 ms  (median 90 ms, 99 % 340 ms)  queued 3  applied 12  sent 2.00 KiB')
  t.end()
})

t.test('protection says what of the capture is less than it should be, and that a mirror is required', t => {
  const { replication } = protecting()
  if (replication === undefined) throw new Error('protecting has figures')
  const degraded = [{ kind: 'agent-crashed' as const, volume: 0, sinceMs: 1 }, { kind: 'agent-crashed' as const, volume: 1, sinceMs: 1 }]
  t.match(jobLine(protecting({ targetData: 'mirror-required', replication: { ...replication, degraded } }), undefined, 300), /sent 2\.00 KiB {2}mirror required {2}agent-crashed$/)
  t.end()
})

t.test('other states show the activity, and a source that is away is told where it matters', t => {
  t.equal(jobLine(jobView({ activity: 'waits\u001b[2J', sourceConnected: false }), undefined, 80), 'created  waits?[2J')
  t.match(jobLine(protecting({ sourceConnected: false }), undefined, 200), /source not connected$/)
  t.end()
})

t.test('a text that is too long ends with an ellipsis', t => {
  t.equal(shorten('abcdef', 4), 'abc…')
  t.equal(shorten('abc', 3), 'abc')
  t.end()
})
