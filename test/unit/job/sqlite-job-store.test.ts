import { join } from 'node:path'
import t from 'tap'
import { openDatabase } from '../../../src/database/database.ts'
import { SqliteJobStore } from '../../../src/job/sqlite-job-store.ts'
import { job } from '../../contract/job-store.contract.ts'

t.test('what was written is there when the file is opened again, without it having been closed', async t => {
  const path = join(t.testdir(), 'jobs.db')
  await using killed = await SqliteJobStore.open(path)
  await killed.insert(job('1', 'a'))
  await killed.update(job('1', 'a', { state: 'mirroring' }))
  await killed.appendEvent('1', 'state', 'x')
  await using store = await SqliteJobStore.open(path)
  t.equal((await store.get('a')).state, 'mirroring')
  t.equal((await store.events('1', 0, 10)).length, 1)
})

t.test('a record that is no job is refused with STORE_INVALID', async t => {
  const path = join(t.testdir(), 'jobs.db')
  await using store = await SqliteJobStore.open(path)
  await store.insert(job('1', 'a'))
  const database = openDatabase(path, ['', ''])
  database.exec(`UPDATE job SET json = '{"version":1,"state":"dancing"}'`)
  database.close()
  await t.rejects(store.get('1'), { code: 'STORE_INVALID' })
  await t.rejects(store.list(), { code: 'STORE_INVALID' })
})
