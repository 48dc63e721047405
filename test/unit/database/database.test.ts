import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { z } from 'zod'
import { lockFile, openDatabase, readRecord } from '../../../src/database/database.ts'

const FIRST = 'CREATE TABLE a (x INTEGER)'
const SECOND = 'CREATE TABLE b (x INTEGER)'

t.test('a database is made durable: WAL, and every commit on disk', async t => {
  const database = openDatabase(join(t.testdir(), 'x.db'), [FIRST])
  t.equal(database.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal')
  t.equal(database.prepare('PRAGMA synchronous').get()?.['synchronous'], 2)
  database.close()
})

t.test('an older file is brought to the present version, keeping its rows', async t => {
  const path = join(t.testdir(), 'x.db')
  const old = openDatabase(path, [FIRST])
  old.exec('INSERT INTO a VALUES (7)')
  old.close()
  const database = openDatabase(path, [FIRST, SECOND])
  t.equal(database.prepare('SELECT x FROM a').get()?.['x'], 7)
  t.equal(database.prepare('SELECT count(*) AS n FROM b').get()?.['n'], 0)
  database.close()
})

t.test('a migration that fails changes nothing', async t => {
  const path = join(t.testdir(), 'x.db')
  openDatabase(path, [FIRST]).close()
  t.throws(() => openDatabase(path, [FIRST, SECOND, 'NONSENSE']), { code: 'STORE_INVALID' })
  openDatabase(path, [FIRST]).close()
})

t.test('a file of a newer version, or that is no database, is refused', async t => {
  const directory = t.testdir()
  openDatabase(join(directory, 'new.db'), [FIRST, SECOND]).close()
  t.throws(() => openDatabase(join(directory, 'new.db'), [FIRST]), { code: 'STORE_INVALID', message: /schema version 2/ })
  await writeFile(join(directory, 'text.db'), 'no database, but long enough to be looked at as one'.repeat(20))
  t.throws(() => openDatabase(join(directory, 'text.db'), [FIRST]), { code: 'STORE_INVALID' })
})

t.test('a record is checked when it is read', async t => {
  const Pair = z.object({ x: z.number() })
  t.strictSame(readRecord(Pair, '{"x":1}', 'pair'), { x: 1 })
  t.throws(() => readRecord(Pair, '{"x":"1"}', 'pair'), { code: 'STORE_INVALID', message: 'the stored pair cannot be read' })
  t.throws(() => readRecord(Pair, '{', 'pair'), { code: 'STORE_INVALID' })
})

t.test('a locked file is refused to others until it is let go', async t => {
  const path = join(t.testdir(), 'lock')
  const lock = lockFile(path)
  t.throws(() => lockFile(path), { code: 'STATE_IN_USE' })
  lock[Symbol.dispose]()
  lockFile(path)[Symbol.dispose]()
})
