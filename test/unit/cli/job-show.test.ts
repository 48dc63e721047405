import t from 'tap'
import { run, startAppliance } from './fake-appliance.ts'
import { protecting } from './records.ts'

const job = protecting({
  findings: [{ code: 'FILE_VANISHED', severity: 'warning', subject: 'var/x', message: 'was removed meanwhile', advice: 'Nothing to do.' }],
  lastError: { code: 'LINK_LOST', message: 'the link broke.', operator: 'Check the network.', atUtc: '2026-01-02T03:00:00Z' },
  phases: [{ phase: 'mirroring', startedAtUtc: '2026-01-02T03:00:00Z', endedAtUtc: '2026-01-02T03:01:30Z' }, { phase: 'protecting', startedAtUtc: '2026-01-02T03:01:30Z' }],
})
const event = (n: number): unknown => ({ sequence: n, jobId: 'j-1', atUtc: '2026-01-02T03:00:00Z', kind: 'state', message: `event ${String(n)}` })

t.test('a job is shown with figures, findings, phases and history', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const history = Array.from({ length: 20 }, (_, i) => event(i + 1))
  appliance.on('GET /jobs/move-web1', { status: 200, body: job })
  appliance.on('GET /jobs/move-web1/history?after=0&limit=1000', { status: 200, body: history })
  const { code, out } = await run(appliance, ['job', 'show', 'move-web1'])
  t.equal(code, 0)
  for (const part of [/^Actions offered now: +cutover, remirror, stop$/m, /latency 120 ms/, /^Last error: +LINK_LOST: the link broke. Check the network.$/m, /FILE_VANISHED +var\/x +was removed meanwhile/,
    /-> Nothing to do\./, /^mirroring .* 1 min 30 s$/m, /^protecting .* 2 min 35 s$/m, /event 20\n$/]) t.match(out, part)
  t.notMatch(out, /event 5\n/, 'only the last events')
  t.same(JSON.parse((await run(appliance, ['job', 'show', 'move-web1', '--json'])).out), JSON.parse(JSON.stringify({ ...job, history })))
})

t.test('a job shows its queue, what the agent costs the source, and each degradation with what it means', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const degraded = [{ kind: 'agent-crashed', volume: 0, sinceMs: Date.UTC(2026, 0, 2, 3) }, { kind: 'clock-set-back', sinceMs: Date.UTC(2026, 0, 2, 4) }]
  appliance.on('GET /jobs/move-web1', { status: 200, body: { ...job, targetData: 'mirror-required', replication: { ...job.replication, latencyMsMax: 2000, queueBytes: 4096, diskQueueBytes: 1024, degraded, agent: { cpuPercent: 12.34, memoryBytes: 96 * 1024 ** 2, nice: 5, isBehind: true } } } })
  appliance.on('GET /jobs/move-web1/history?after=0&limit=1000', { status: 200, body: [] })
  const { out } = await run(appliance, ['job', 'show', 'move-web1'])
  for (const part of [/^Target data: +mirror required$/m, /^Queue: +3 changes, 4.00 KiB of memory, 1.00 KiB on disk$/m, /latency 120 ms, longest 2 s/,
    /^Agent: +12.3 % of a processor, 96.0 MiB of memory, stands back \(nice 5\), further behind than it may be: it comes forward$/m,
    /^agent-crashed +0 +2026-01-02 03:00:00 UTC +the agent or the source ended without warning/m, /^clock-set-back +all +2026-01-02 04:00:00 UTC/m]) t.match(out, part)
})
