import t from 'tap'
import { eventStream, run, startAppliance, type FakeAppliance } from './fake-appliance.ts'
import { jobView } from './records.ts'

const built = { disks: [{ path: '[ds1] web1/web1.vmdk', sizeBytes: 1024, uuid: '' }] }

function deleting(appliance: FakeAppliance, before: ReturnType<typeof jobView>, after: ReturnType<typeof jobView> = jobView({ state: 'removed' })): void {
  appliance.on('GET /jobs/x', { status: 200, body: before })
  for (const keep of ['true', 'false']) appliance.on(`POST /jobs/j-1/actions/remove?keepDisks=${keep}`, { status: 202, body: jobView({ state: 'removing' }) })
  appliance.on('GET /jobs/j-1/events', eventStream([{ event: 'job', data: jobView({ state: 'removing' }) }, { event: 'job', data: after }]))
}
const asked = (appliance: FakeAppliance): string | undefined => appliance.seen.find(s => s.method === 'POST')?.path.split('?')[1]

t.test('what becomes of the disks is said by an option', async t => {
  for (const [option, query] of [['--keep-disks', 'keepDisks=true'], ['--delete-disks', 'keepDisks=false']] as const) {
    await using appliance = await startAppliance(t.testdir({}))
    deleting(appliance, jobView({ state: 'stopped', built }))
    t.match(await run(appliance, ['job', 'delete', 'x', option]), { code: 0, out: /^Deleted job move-web1/ })
    t.equal(asked(appliance), query)
  }
})

t.test('or it is asked, and only a whole answer counts', async t => {
  for (const [answer, query, code] of [['yes', 'keepDisks=false', 0], ['no', 'keepDisks=true', 0], ['', undefined, 2], ['y', undefined, 2]] as const) {
    await using appliance = await startAppliance(t.testdir({}))
    deleting(appliance, jobView({ state: 'stopped', built }))
    t.equal((await run(appliance, ['job', 'delete', 'x'], { answers: [answer] })).code, code)
    t.equal(asked(appliance), query, `answer "${answer}"`)
  }
})

t.test('with nobody to ask it is refused', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  deleting(appliance, jobView({ state: 'stopped', built }))
  t.match(await run(appliance, ['job', 'delete', 'x']), { code: 2, err: /--keep-disks or --delete-disks/ })
  t.match(await run(appliance, ['job', 'delete', 'x', '--keep-disks', '--delete-disks']), { code: 2 })
  t.equal(asked(appliance), undefined)
})

t.test('without disks, or when the replica has taken over, there is nothing to ask', async t => {
  for (const [before, query] of [[jobView(), 'keepDisks=false'], [jobView({ state: 'completed', built }), 'keepDisks=true']] as const) {
    await using appliance = await startAppliance(t.testdir({}))
    deleting(appliance, before)
    t.equal((await run(appliance, ['job', 'delete', 'x'])).code, 0)
    t.equal(asked(appliance), query)
  }
})

t.test('a removal that fails ends with the error of the job; --no-wait does not wait for it', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  deleting(appliance, jobView({ state: 'stopped', built }), jobView({ state: 'failed', lastError: { code: 'VSPHERE_BUSY', message: 'in use', operator: 'o', atUtc: '2026-01-02T03:00:00Z' } }))
  t.match(await run(appliance, ['job', 'delete', 'x', '--keep-disks']), { code: 8, err: /VSPHERE_BUSY/ })
  t.match(await run(appliance, ['job', 'delete', 'x', '--keep-disks', '--no-wait', '--json']), { code: 0, out: /"keptDisks": true/ })
})
