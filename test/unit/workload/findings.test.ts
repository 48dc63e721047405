import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { collectFindings, orFinding } from '../../../src/workload/findings.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

const signal = AbortSignal.timeout(10_000)
const finding = (n: number): Finding => ({ code: 'X', severity: 'warning', subject: String(n), message: 'm', advice: 'a' })

t.test('the same finding is kept once', t => {
  const findings: Finding[] = []
  const report = collectFindings(findings)
  report(finding(1))
  report(finding(1))
  t.equal(findings.length, 1)
  t.end()
})

t.test('findings have a limit, and the last one says so', t => {
  const findings: Finding[] = []
  const report = collectFindings(findings)
  for (let n = 0; n < 300; n++) report(finding(n))
  t.equal(findings.length, 201)
  t.equal(findings.at(-1)?.code, 'DISCOVERY_FINDINGS_LIMIT')
  t.end()
})

t.test('what refuses becomes a finding and the fallback is the answer', async t => {
  const findings: Finding[] = []
  const answer = await orFinding(collectFindings(findings), 'disks', 'Look.', 'nothing', async () => { throw new AppError('TOOL_MISSING', 'lsblk is not installed') }, signal)
  t.equal(answer, 'nothing')
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', severity: 'error', subject: 'disks', message: 'disks could not be read: lsblk is not installed' }])
})

t.test('a programming mistake is not hidden', async t => {
  await t.rejects(orFinding(unexpected, 'disks', '', 0, async () => { throw new TypeError('x is not a function') }, signal), TypeError)
})

t.test('an abort is an abort', async t => {
  await t.rejects(orFinding(unexpected, 'disks', '', 0, async () => 1, AbortSignal.abort()), { name: 'AbortError' })
  const stop = new AbortController()
  await t.rejects(orFinding(unexpected, 'disks', '', 0, async () => {
    stop.abort()
    throw new AppError('TOOL_FAILED', 'ended')
  }, stop.signal), { name: 'AbortError' })
})
