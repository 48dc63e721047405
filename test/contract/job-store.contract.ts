import t from 'tap'
import type { Job } from '../../src/domain/job.ts'
import type { JobStore } from '../../src/job/job-store.ts'
import { OPTIONS } from '../scenario/workload.ts'

export const job = (id: string, name: string, change: Partial<Job> = {}): Job => ({
  version: 1, id, name, source: 's', vmware: 'v', state: 'created', health: 'unknown', activity: '', options: OPTIONS, validation: [], findings: [], cutoverSteps: [], phases: [],
  createdAtUtc: '2026-01-01T00:00:00.000Z', updatedAtUtc: '2026-01-01T00:00:00.000Z', ...change,
})

/** Runs the whole JobStore contract against what `open` returns. */
export function jobStoreContract(name: string, open: () => Promise<JobStore>): void {
  t.test(`JobStore contract: ${name}`, async t => {
    t.test('a job is found by its id and by its name, as it was written', async t => {
      await using store = await open()
      await store.insert(job('1', 'a', { findings: [{ code: 'X', severity: 'ok', subject: 'é', message: '', advice: '' }] }))
      t.strictSame(await store.get('1'), await store.get('a'))
      t.equal((await store.get('a')).findings[0]?.subject, 'é')
    })
    t.test('an unknown job is JOB_NOT_FOUND, also for an update', async t => {
      await using store = await open()
      await t.rejects(store.get('nothing'), { code: 'JOB_NOT_FOUND' })
      await t.rejects(store.update(job('1', 'a')), { code: 'JOB_NOT_FOUND' })
    })
    t.test('a name is taken until its job is removed; the removed one is found by its id only', async t => {
      await using store = await open()
      await store.insert(job('1', 'a'))
      await t.rejects(store.insert(job('2', 'a')), { code: 'JOB_EXISTS' })
      await t.rejects(store.insert(job('1', 'b')), { code: 'JOB_EXISTS' })
      await store.update(job('1', 'a', { state: 'removed' }))
      await t.rejects(store.get('a'), { code: 'JOB_NOT_FOUND' })
      t.equal((await store.get('1')).state, 'removed')
      await store.insert(job('2', 'a'))
      t.equal((await store.get('a')).id, '2')
    })
    t.test('the list is oldest first, without those that are removed', async t => {
      await using store = await open()
      for (const id of ['c', 'a', 'b']) await store.insert(job(id, `name-${id}`))
      await store.update(job('a', 'name-a', { state: 'removed' }))
      await store.update(job('c', 'name-c', { state: 'ready' }))
      t.strictSame((await store.list()).map(({ id, state }) => [id, state]), [['c', 'ready'], ['b', 'created']])
    })
    t.test('a record is not shared with the caller', async t => {
      await using store = await open()
      const record = job('1', 'a')
      await store.insert(record)
      record.activity = 'changed by the caller'
      t.equal((await store.get('1')).activity, '')
    })
    t.test('events are numbered from 1 for each job and read behind a number', async t => {
      await using store = await open()
      await store.insert(job('1', 'a'))
      for (const kind of ['x', 'y', 'z']) await store.appendEvent('1', kind, `message ${kind}`)
      t.equal((await store.appendEvent('2', 'other', '')).sequence, 1)
      t.strictSame((await store.events('1', 1, 10)).map(event => [event.sequence, event.kind, event.message]), [[2, 'y', 'message y'], [3, 'z', 'message z']])
      t.equal((await store.events('1', 0, 2)).length, 2)
      t.strictSame(await store.events('1', 3, 10), [])
    })
    t.test('a screenshot is kept byte for byte by job and kind, in place of the last one', async t => {
      await using store = await open()
      await store.insert(job('1', 'a'))
      t.equal(await store.screenshot('1', 'cutover'), undefined)
      await store.putScreenshot('1', 'cutover', Buffer.from([0x89, 0, 0xff]))
      await store.putScreenshot('1', 'test-cutover', Buffer.from('test'))
      await store.putScreenshot('2', 'cutover', Buffer.from('of another'))
      await store.putScreenshot('1', 'cutover', Buffer.from([0x89, 1, 0xff]))
      t.strictSame([...await store.screenshot('1', 'cutover') ?? []], [0x89, 1, 0xff])
      t.strictSame(Buffer.from(await store.screenshot('1', 'test-cutover') ?? []).toString(), 'test')
    })
    t.test('disposing twice is fine', async t => {
      const store = await open()
      await store[Symbol.asyncDispose]()
      await t.resolves(async () => { await store[Symbol.asyncDispose]() })
    })
  })
}
