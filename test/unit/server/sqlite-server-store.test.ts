import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { SourceRecord, VmwareRecord } from '../../../src/domain/server.ts'
import { SecretBox } from '../../../src/server/secret-box.ts'
import { SqliteServerStore } from '../../../src/server/sqlite-server-store.ts'

const AT = '2026-01-01T00:00:00.000Z'
const source = (id: string, name: string): SourceRecord => ({ version: 1, id, name, status: 'awaiting-enrolment', createdAtUtc: AT })
const vmware = (id: string, name: string): VmwareRecord => ({ version: 1, id, name, host: 'esx', port: 443, user: 'u', thumbprint: '', product: 'p', apiVersion: '8', createdAtUtc: AT })

async function open(directory: string): Promise<SqliteServerStore> {
  return await SqliteServerStore.open(join(directory, 'servers.db'), await SecretBox.open(join(directory, 'key')))
}

t.test('a source is kept, changed, listed in order, and forgotten', async t => {
  await using store = await open(t.testdir())
  await store.sources.insert(source('2', 'b'))
  await store.sources.insert(source('1', 'a'))
  await store.sources.update({ ...source('1', 'a'), status: 'disconnected' })
  t.equal((await store.sources.get('a')).status, 'disconnected')
  t.strictSame((await store.sources.list()).map(({ name }) => name), ['b', 'a'])
  await store.sources.remove('1')
  await t.rejects(store.sources.get('a'), { code: 'SERVER_NOT_FOUND' })
  await t.rejects(store.sources.remove('1'), { code: 'SERVER_NOT_FOUND' })
  await t.rejects(store.sources.update(source('1', 'a')), { code: 'SERVER_NOT_FOUND' })
})

t.test('a name is given once', async t => {
  await using store = await open(t.testdir())
  await store.sources.insert(source('1', 'a'))
  await t.rejects(store.sources.insert(source('2', 'a')), { code: 'SERVER_EXISTS' })
  await store.vmware.insert(vmware('1', 'a'), 'x')
  await t.rejects(store.vmware.insert(vmware('2', 'a'), 'x'), { code: 'SERVER_EXISTS' })
})

t.test('a token is taken by exactly one caller, and a new one voids the one before', async t => {
  await using store = await open(t.testdir())
  await store.sources.insert(source('1', 'a'))
  await store.sources.putToken({ sourceId: '1', tokenId: 'old', hash: 'h', expiresAtMs: 1, used: false })
  await store.sources.putToken({ sourceId: '1', tokenId: 'new', hash: 'h', expiresAtMs: 1, used: false })
  t.equal(await store.sources.findToken('old'), undefined)
  t.strictSame(await Promise.all([store.sources.takeToken('new'), store.sources.takeToken('new'), store.sources.takeToken('old')]), [true, false, false])
  t.equal((await store.sources.findToken('new'))?.used, true)
  await t.rejects(store.sources.putToken({ sourceId: '9', tokenId: 'x', hash: 'h', expiresAtMs: 1, used: false }), { code: 'SERVER_NOT_FOUND' })
  await store.sources.remove('1')
  t.equal(await store.sources.findToken('new'), undefined, 'it goes with its source')
})

t.test('a password is read back, also by the next process, and is nowhere in the files', async t => {
  const directory = t.testdir()
  {
    await using store = await open(directory)
    await store.vmware.insert(vmware('1', 'a'), 'correct horse')
    t.equal(await store.vmware.password('1'), 'correct horse')
    for (const file of ['servers.db', 'servers.db-wal']) t.notMatch(await readFile(join(directory, file), 'latin1'), /correct|horse/)
  }
  await using store = await open(directory)
  t.equal(await store.vmware.password('1'), 'correct horse')
  t.equal((await store.vmware.get('a')).host, 'esx')
  await store.vmware.remove('1')
  await t.rejects(store.vmware.password('1'), { code: 'SERVER_NOT_FOUND' })
})

t.test('API tokens are kept with role and expiry', async t => {
  await using store = await open(t.testdir())
  await store.access.put({ tokenId: '1', hash: 'h', name: 'n', role: 'monitor', expiresAtMs: undefined })
  await store.access.put({ tokenId: '2', hash: 'h', name: 'm', role: 'admin', expiresAtMs: 5 })
  t.strictSame((await store.access.list()).map(token => [token.tokenId, token.role, token.expiresAtMs]), [['1', 'monitor', undefined], ['2', 'admin', 5]])
  t.equal((await store.access.find('2'))?.name, 'm')
  t.equal(await store.access.find('3'), undefined)
})

t.test('a passphrase is kept sealed for its own job, and forgotten', async t => {
  const directory = t.testdir()
  {
    await using store = await open(directory)
    await store.passphrases.put('job-1', 'correct horse')
    await store.passphrases.put('job-2', 'battery staple')
    await store.passphrases.remove('job-2')
    await store.passphrases.remove('job-2')
    t.equal(await store.passphrases.get('job-2'), undefined)
  }
  t.notMatch(await readFile(join(directory, 'servers.db'), 'latin1'), /horse/)
  await using again = await open(directory)
  t.equal(await again.passphrases.get('job-1'), 'correct horse')
})
