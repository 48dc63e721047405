import t from 'tap'
import { WatchScreen } from '../../../src/cli/watch-screen.ts'
import { memoryTerminal } from './fake-appliance.ts'
import { jobView, mirroring, protecting } from './records.ts'

const event = { sequence: 1, jobId: 'j', atUtc: '2026-01-02T03:04:05Z', kind: 'state', message: 'the mirror has begun' }

t.test('on a terminal one line is rewritten and history stays above it', t => {
  const { terminal, out } = memoryTerminal({ tty: true })
  const screen = new WatchScreen(terminal, () => 0)
  screen.job(jobView({ activity: 'a' }))
  screen.job(jobView({ activity: 'a' }))
  screen.history(event)
  screen.job(jobView({ activity: 'b' }))
  screen.end()
  t.same(out, ['created  a', '\r\u001b[K2026-01-02 03:04:05 UTC  the mirror has begun\ncreated  a', '\r\u001b[Kcreated  b', '\n'])
  t.end()
})

t.test('elsewhere there is a line for each state and every ten seconds, without control characters', t => {
  const { terminal, out } = memoryTerminal()
  let nowMs = 0
  const screen = new WatchScreen(terminal, () => nowMs)
  screen.history(event)
  for (let second = 0; second <= 25; second++) {
    nowMs = second * 1000
    screen.job(mirroring(second * 40 * 2 ** 20))
  }
  screen.job(protecting())
  screen.end()
  t.equal(out.length, 5)
  t.match(out[0], /the mirror has begun\n$/)
  t.match(out[2], /^mirroring .*40\.\d %.*40\.\d MiB\/s.* left\n$/)
  t.match(out[4], /^protecting .*latency 120 ms/)
  t.notMatch(out.join(''), /[\r\u001b]/)
  t.end()
})
