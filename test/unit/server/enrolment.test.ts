import { join } from 'node:path'
import t from 'tap'
import type { SourceRecord } from '../../../src/domain/server.ts'
import { offerEnrolment, useEnrolmentToken } from '../../../src/server/enrolment.ts'
import { SecretBox } from '../../../src/server/secret-box.ts'
import type { SourceStore } from '../../../src/server/server-store.ts'
import { SqliteServerStore } from '../../../src/server/sqlite-server-store.ts'

const SOURCE: SourceRecord = { version: 1, id: '1', name: 'shop', status: 'awaiting-enrolment', createdAtUtc: '' }

async function withStore(directory: string, use: (store: SourceStore) => Promise<void>): Promise<void> {
  await using store = await SqliteServerStore.open(':memory:', await SecretBox.open(join(directory, 'key')))
  await store.sources.insert(SOURCE)
  await use(store.sources)
}

t.test('a token is good once', async t => {
  await withStore(t.testdir(), async store => {
    const { token, expiresAtMs } = await offerEnrolment(store, SOURCE, 1000, 5000)
    t.equal(expiresAtMs, 6000)
    t.equal((await useEnrolmentToken(store, token, 5999)).id, '1')
    await t.rejects(useEnrolmentToken(store, token, 5999), { code: 'ENROLMENT_TOKEN_USED' })
  })
})

t.test('a token expires, and is not used up by that', async t => {
  await withStore(t.testdir(), async store => {
    const { token } = await offerEnrolment(store, SOURCE, 1000, 5000)
    await t.rejects(useEnrolmentToken(store, token, 6000), { code: 'ENROLMENT_TOKEN_EXPIRED' })
    t.equal((await useEnrolmentToken(store, token, 5500)).id, '1')
  })
})

t.test('a wrong, garbled or replaced token is invalid', async t => {
  await withStore(t.testdir(), async store => {
    const { token } = await offerEnrolment(store, SOURCE, 1000, 0)
    const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
    for (const bad of [wrong, '', 'lf_', `${token}x`, token.toUpperCase()]) await t.rejects(useEnrolmentToken(store, bad, 1), { code: 'ENROLMENT_TOKEN_INVALID' }, bad)
    await offerEnrolment(store, SOURCE, 1000, 0)
    await t.rejects(useEnrolmentToken(store, token, 1), { code: 'ENROLMENT_TOKEN_INVALID' })
  })
})
