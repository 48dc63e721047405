import t from 'tap'
import { describeRehearsal } from '../../../src/cli/job-rehearse.ts'

t.test('a rehearsal is told with each fix-up, each file, and how it would change', async t => {
  const text = describeRehearsal({
    state: 'failed', startedAtUtc: '2026-03-01T12:00:00Z', message: 'C05: no driver',
    report: { version: 1, jobId: 'j', startedAtUtc: '2026-03-01T12:00:00Z', succeeded: false, rehearsal: true, results: [
      { id: 'C09', title: 'name the volumes', required: true, outcome: 'done', messages: ['/dev/vda2 is UUID=x now'], durationMs: 3, changed: [{ path: '/etc/fstab', before: 'a', after: 'b', diff: '-/dev/vda2 /\n+UUID=x /\n' }, { path: '/etc/old', before: 'a', after: '' }] },
      { id: 'C05', title: 'check kernels', required: true, outcome: 'failed', messages: ['no driver\u001b[2J'], durationMs: 3, changed: [] },
    ] },
  })
  t.match(text, /^Rehearsal failed, begun .*: C05: no driver\n/)
  t.match(text, '\nC09  name the volumes: done\n     /dev/vda2 is UUID=x now\n     changed  /etc/fstab\n       -/dev/vda2 /\n       +UUID=x /\n     removed  /etc/old\n')
  t.notMatch(text, '\u001b', 'what comes from the source cannot steer the terminal')
})
