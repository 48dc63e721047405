import t from 'tap'
import { eventStream, problem, run, startAppliance } from './fake-appliance.ts'
import { jobView, mirroring, protecting } from './records.ts'

const history = { event: 'history', id: 1, data: { sequence: 1, jobId: 'j-1', atUtc: '2026-01-02T03:04:05Z', kind: 'state', message: 'the mirror has begun' } }
const job = (data: ReturnType<typeof jobView>): { event: string, data: unknown } => ({ event: 'job', data })

t.test('it ends with 0 as soon as the job is in the state that was asked for', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x/events', eventStream([job(mirroring(1)), history, job(protecting())], true))
  const { code, out } = await run(appliance, ['job', 'watch', 'x', '--until', 'protecting'])
  t.equal(code, 0)
  t.match(out, /^mirroring .*\n.*the mirror has begun\nprotecting /)
})

t.test('it goes on over a lost connection', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x/events',
    response => { response.writeHead(200).write(`event: job\ndata: ${JSON.stringify(mirroring(1))}\n\n`, () => { response.destroy() }) },
    problem('SOURCE_NOT_CONNECTED', 'starting'), eventStream([job(protecting())], true))
  const { code, out } = await run(appliance, ['job', 'watch', 'x', '--until', 'protecting'])
  t.equal(code, 0)
  t.match(out, /connection lost \(.+\); trying again\n/)
  t.equal(appliance.seen.length, 3)
})

t.test('a job that failed ends it with the exit code of its error', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x/events', eventStream([job(mirroring(1)), job(jobView({ state: 'failed', lastError: { code: 'REPLICA_FULL', message: 'no space on /data', operator: 'o', atUtc: '2026-01-02T03:00:00Z' } }))], true))
  t.match(await run(appliance, ['job', 'watch', 'x', '--until', 'protecting']), { code: 7, err: /job move-web1 failed: no space on \/data \(REPLICA_FULL\)/ })
})

t.test('stopped and invalid end it with 4, removed with 3, completed with 0', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  for (const [state, code] of [['stopped', 4], ['invalid', 4], ['removed', 3], ['completed', 0]] as const) {
    appliance.on('GET /jobs/x/events', eventStream([job(jobView({ state }))], true))
    t.equal((await run(appliance, ['job', 'watch', 'x'])).code, code, state)
  }
})

t.test('a state that was left behind need not be waited for', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x/events', eventStream([job(jobView({ state: 'completed' }))], true))
  t.equal((await run(appliance, ['job', 'watch', 'x', '--until', 'protecting'])).code, 0)
})

t.test('for machines each line is one event, and the failure is the last', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /jobs/x/events', eventStream([job(mirroring(1)), history, job(protecting())], true))
  const { out } = await run(appliance, ['job', 'watch', 'x', '--until', 'protecting', '--json'])
  t.same(out.trimEnd().split('\n').map(line => (JSON.parse(line) as { event: string }).event), ['job', 'history', 'job'])
  appliance.on('GET /jobs/y/events', problem('JOB_NOT_FOUND', 'there is no job y'))
  t.match(JSON.parse((await run(appliance, ['job', 'watch', 'y', '--json'])).out), { code: 'JOB_NOT_FOUND' })
})

t.test('an interrupt ends it with 130', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  const stop = new AbortController()
  appliance.on('GET /jobs/x/events', (response, request) => {
    response.writeHead(200).write(`event: job\ndata: ${JSON.stringify(mirroring(1))}\n\n`)
    setImmediate(() => { stop.abort() })
    t.match(request.headers, { accept: 'text/event-stream' })
  })
  t.equal((await run(appliance, ['job', 'watch', 'x'], { signal: stop.signal })).code, 130)
})
