import t from 'tap'
import { authorise } from '../../../src/api/access.ts'
import { FailureLimit } from '../../../src/api/failure-limit.ts'
import type { AccessStore, ApiToken } from '../../../src/server/server-store.ts'
import { makeToken } from '../../../src/server/token.ts'
import { ApiWorld } from './api-world.ts'

function storeOf(...tokens: ApiToken[]): AccessStore {
  return { put: async () => undefined, list: async () => tokens, find: async id => tokens.find(token => token.tokenId === id) }
}

t.test('a token gives its role; a monitor may look and not change', async t => {
  const { token, tokenId, hash } = makeToken()
  const clock = { now: () => 100 }
  const parts = { access: storeOf({ tokenId, hash, name: 'eye', role: 'monitor', expiresAtMs: undefined }), clock, failures: new FailureLimit(clock) }
  t.strictSame(await authorise(parts, `Bearer ${token}`, 'monitor', 'a'), { name: 'eye', role: 'monitor' })
  await t.rejects(authorise(parts, `Bearer ${token}`, 'admin', 'a'), { code: 'ACCESS_FORBIDDEN' })
})

t.test('no, a wrong, a garbled and an expired token are ACCESS_DENIED', async t => {
  const { token, tokenId, hash } = makeToken()
  const clock = { now: () => 100 }
  const parts = { access: storeOf({ tokenId, hash, name: 'eye', role: 'admin', expiresAtMs: 100 }), clock, failures: new FailureLimit(clock) }
  for (const header of [undefined, '', 'Basic eA==', 'Bearer x', `Bearer ${makeToken().token}`, `Bearer lf_${tokenId}_${'A'.repeat(43)}`, `Bearer ${token}`]) {
    await t.rejects(authorise(parts, header, 'monitor', 'a'), { code: 'ACCESS_DENIED' }, String(header))
  }
})

t.test('who guesses is refused after ten wrong tokens, others are not, and a minute later it is over', async t => {
  let nowMs = 0
  const clock = { now: () => nowMs }
  const parts = { access: storeOf(), clock, failures: new FailureLimit(clock) }
  for (let i = 0; i < 10; i++) await t.rejects(authorise(parts, `Bearer ${makeToken().token}`, 'monitor', 'bad'), { code: 'ACCESS_DENIED' })
  await t.rejects(authorise(parts, 'Bearer x', 'monitor', 'bad'), { code: 'RATE_LIMITED' })
  await t.rejects(authorise(parts, 'Bearer x', 'monitor', 'good'), { code: 'ACCESS_DENIED' })
  nowMs = 60_000
  await t.rejects(authorise(parts, 'Bearer x', 'monitor', 'bad'), { code: 'ACCESS_DENIED' })
})

t.test('a monitor token reads over HTTPS and cannot create', async t => {
  await using api = await ApiWorld.open(t.testdir())
  const token = await api.tokenFor('monitor')
  t.equal((await api.call('GET', '/jobs', { token })).status, 200)
  t.equal(await api.refusal('POST', '/sources', { token, body: { name: 'a' } }), 'ACCESS_FORBIDDEN')
})
