/** Tokens: `lf_<id>_<secret>`. The id finds the record, the secret is compared as a hash in constant time; only the hash is kept. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export interface NewToken { token: string, tokenId: string, hash: string }

/** The secret has 256 bits, so that a plain hash of it is enough. */
export function makeToken(): NewToken {
  const tokenId = randomBytes(8).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  return { token: `lf_${tokenId}_${secret}`, tokenId, hash: hashOf(secret) }
}

/** The id and the hash in a token that was presented; undefined when it is none. */
export function readToken(token: string): { tokenId: string, hash: string } | undefined {
  const match = /^lf_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(token)
  const [, tokenId, secret] = match ?? []
  return tokenId === undefined || secret === undefined ? undefined : { tokenId, hash: hashOf(secret) }
}

/** In constant time. */
export function isSameHash(a: string, b: string): boolean {
  const left = Buffer.from(a, 'hex')
  const right = Buffer.from(b, 'hex')
  return left.length === right.length && timingSafeEqual(left, right)
}

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')
