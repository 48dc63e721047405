import t from 'tap'
import { closePhase, openPhase, phaseStartMs } from '../../../src/job/phases.ts'

t.test('a phase begins, is not begun twice, and ends', async t => {
  const begun = openPhase(openPhase([], 'mirroring', '2026-01-01T00:00:00.000Z'), 'mirroring', '2026-01-01T00:00:05.000Z')
  t.strictSame(begun, [{ phase: 'mirroring', startedAtUtc: '2026-01-01T00:00:00.000Z' }])
  const ended = closePhase(begun, 'mirroring', '2026-01-01T00:00:09.000Z')
  t.equal(ended[0]?.endedAtUtc, '2026-01-01T00:00:09.000Z')
  t.equal(openPhase(ended, 'mirroring', '2026-01-01T00:01:00.000Z').length, 2)
  t.equal(phaseStartMs(ended, 'mirroring'), Date.UTC(2026, 0, 1))
  t.equal(phaseStartMs(ended, 'boot'), undefined)
})

t.test('the oldest phases fall out', async t => {
  let phases = openPhase([], 'first', '2026-01-01T00:00:00.000Z')
  for (let i = 0; i < 200; i++) phases = closePhase(openPhase(phases, 'mirroring', '2026-01-01T00:00:00.000Z'), 'mirroring', '2026-01-01T00:00:00.000Z')
  t.equal(phases.length, 200)
  t.notOk(phases.some(phase => phase.phase === 'first'))
})
