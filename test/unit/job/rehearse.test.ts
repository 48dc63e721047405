import t from 'tap'
import { isCurrent } from '../../../src/job/rehearse.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')

t.test('a rehearsal counts for the cutover when it passed within a day', async t => {
  t.equal(isCurrent({ state: 'passed', endedAtUtc: '2026-02-28T12:00:01Z' }, NOW), true)
  t.equal(isCurrent({ state: 'passed', endedAtUtc: '2026-02-28T11:59:00Z' }, NOW), false)
  for (const state of ['wanted', 'running', 'failed'] as const) t.equal(isCurrent({ state, endedAtUtc: '2026-03-01T11:00:00Z' }, NOW), false, state)
  t.equal(isCurrent({ state: 'passed' }, NOW), false)
  t.equal(isCurrent(undefined, NOW), false)
})
