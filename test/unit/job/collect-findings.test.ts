import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { CollectedFindings } from '../../../src/job/collect-findings.ts'

const finding = (subject: string, message = ''): Finding => ({ code: 'X', severity: 'warning', subject, message, advice: '' })

t.test('a finding is kept once, also across restarts', async t => {
  const findings = new CollectedFindings([finding('a')])
  t.notOk(findings.add([finding('a')]))
  t.ok(findings.add([finding('b'), finding('b')]))
  t.same(findings.all.map(f => f.subject), ['a', 'b'])
})

t.test('no more than a thousand are kept', async t => {
  const findings = new CollectedFindings([])
  t.ok(findings.add(Array.from({ length: 2000 }, (_, i) => finding(String(i)))))
  t.equal(findings.all.length, 1000)
  t.notOk(findings.add([finding('later')]))
})

t.test('no more than a mebibyte of text is kept; a short one finds room still', async t => {
  const findings = new CollectedFindings([])
  for (let i = 0; i < 100; i++) findings.add([finding(String(i), 'x'.repeat(40_000))])
  t.ok(findings.all.reduce((sum, f) => sum + f.message.length, 0) <= 1024 * 1024)
  t.ok(findings.all.length >= 25)
  t.ok(findings.add([finding('short')]))
  const again = new CollectedFindings(findings.all)
  t.notOk(again.add([finding('long', 'x'.repeat(40_000))]), 'counted anew after a restart')
})
