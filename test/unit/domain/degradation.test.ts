import t from 'tap'
import { Degradation, DegradationKind, describeDegradation, isMirrorRequired } from '../../../src/domain/degradation.ts'
import { targetDataState } from '../../../src/domain/job.ts'

t.test('each degradation has words of its own', t => {
  const words = DegradationKind.options.map(kind => describeDegradation({ kind, sinceMs: 0 }))
  t.equal(new Set(words).size, words.length)
  t.end()
})

t.test('only after a crash or a reboot, or when the source was set back, a mirror is required, and the job says so while it protects', t => {
  const crashed = [{ kind: 'agent-crashed' as const, volume: 0, sinceMs: 0 }]
  t.ok(isMirrorRequired(crashed))
  t.ok(isMirrorRequired([{ kind: 'source-rebooted', volume: 0, sinceMs: 0 }]))
  t.ok(isMirrorRequired([{ kind: 'volume-rolled-back', volume: 0, sinceMs: 0 }]))
  t.notOk(isMirrorRequired([{ kind: 'agent-stopped', volume: 0, sinceMs: 0 }]))
  const replication = { queued: 0, changesApplied: 0, bytesSent: 0, recoveryPointLatencyMs: 0, latencyMsP50: 0, latencyMsP99: 0 }
  t.equal(targetDataState({ state: 'protecting', captureEpoch: 'e', replication: { ...replication, degraded: crashed } }), 'mirror-required')
  t.equal(targetDataState({ state: 'protecting', captureEpoch: 'e', replication }), 'ok')
  t.equal(targetDataState({ state: 'protecting', replication }), 'mirror-required', 'it waits for a person to begin the mirror')
  t.equal(targetDataState({ state: 'stopped', mirrored: true }), 'mirror-required')
  t.equal(targetDataState({ state: 'stopped' }), 'not-ready')
  t.end()
})

t.test('a time that no date can tell is refused', t => {
  t.notOk(Degradation.safeParse({ kind: 'events-lost', sinceMs: 1e300 }).success)
  t.notOk(Degradation.safeParse({ kind: 'events-lost', sinceMs: -1 }).success)
  t.end()
})
