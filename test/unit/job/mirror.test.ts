import t from 'tap'
import { NO_MIRROR_PROGRESS } from '../../../src/domain/progress.ts'
import { CollectedFindings } from '../../../src/job/collect-findings.ts'
import { comparison } from '../../../src/job/mirror.ts'
import { OPTIONS } from '../../scenario/workload.ts'

t.test('the first mirror compares as the job says, later ones by attributes, or by data when that is safer or asked for', async t => {
  const begun = { mirror: NO_MIRROR_PROGRESS, mirrorBootId: 'one' }
  t.equal(comparison({ options: OPTIONS }, 'one'), 'none')
  t.equal(comparison({ options: { ...OPTIONS, compare: 'attributes' } }, 'one'), 'attributes')
  t.equal(comparison({ options: OPTIONS, ...begun }, 'one'), 'none', 'the first one goes on as it began')
  t.equal(comparison({ options: OPTIONS, ...begun, mirrored: true }, 'one'), 'attributes')
  t.equal(comparison({ options: OPTIONS, ...begun }, 'two'), 'data')
  t.equal(comparison({ options: OPTIONS, mirror: NO_MIRROR_PROGRESS, mirrored: true }, 'two'), 'attributes', 'after an orderly unmount')
  t.equal(comparison({ options: { ...OPTIONS, compare: 'data' }, ...begun }, 'one'), 'data')
  t.equal(comparison({ options: { ...OPTIONS, autoRemirror: 'checksum' }, ...begun, mirrored: true }, 'one'), 'data')
  t.equal(comparison({ options: { ...OPTIONS, autoRemirror: 'full' }, ...begun, mirrored: true }, 'two'), 'none', 'everything is sent again')
})

t.test('each finding is kept once, the first thousand', async t => {
  const finding = (n: number) => ({ code: 'X', severity: 'warning' as const, subject: String(n), message: '', advice: '' })
  const findings = new CollectedFindings([finding(0)])
  t.equal(findings.add([finding(0)]), false)
  t.equal(findings.add(Array.from({ length: 1500 }, (_, n) => finding(n))), true)
  t.equal(findings.all.length, 1000)
  t.equal(findings.add([finding(2000)]), false)
})
