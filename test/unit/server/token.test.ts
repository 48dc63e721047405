import t from 'tap'
import { isSameHash, makeToken, readToken } from '../../../src/server/token.ts'

t.test('a token is read back to its id and hash', async t => {
  const { token, tokenId, hash } = makeToken()
  t.strictSame(readToken(token), { tokenId, hash })
  t.notMatch(token, hash)
})

t.test('no two tokens are equal', async t => {
  t.not(makeToken().token, makeToken().token)
})

t.test('what is no token is not read', async t => {
  for (const text of ['', 'lf_', 'lf_0123456789abcdef_', 'lf_0123456789abcdef_short', `${makeToken().token}\n`]) t.equal(readToken(text), undefined, JSON.stringify(text))
})

t.test('hashes are equal only when they are', async t => {
  t.equal(isSameHash('ab12', 'ab12'), true)
  t.equal(isSameHash('ab12', 'ab13'), false)
  t.equal(isSameHash('ab12', 'ab'), false)
})
