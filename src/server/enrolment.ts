/** The one-time permission of a new agent. */
import type { SourceRecord } from '../domain/server.ts'
import { AppError } from '../errors/app-error.ts'
import type { SourceStore } from './server-store.ts'
import { isSameHash, makeToken, readToken } from './token.ts'

/** A new token for the source; the one before is void. @param validMs milliseconds */
export async function offerEnrolment(store: SourceStore, source: SourceRecord, validMs: number, nowMs: number): Promise<{ token: string, expiresAtMs: number }> {
  const { token, tokenId, hash } = makeToken()
  const expiresAtMs = nowMs + validMs
  await store.putToken({ sourceId: source.id, tokenId, hash, expiresAtMs, used: false })
  return { token, expiresAtMs }
}

/**
 * Uses the token up and answers whose it is.
 * @throws {AppError} ENROLMENT_TOKEN_INVALID, ENROLMENT_TOKEN_EXPIRED, ENROLMENT_TOKEN_USED
 */
export async function useEnrolmentToken(store: SourceStore, token: string, nowMs: number): Promise<SourceRecord> {
  const presented = readToken(token)
  const known = presented === undefined ? undefined : await store.findToken(presented.tokenId)
  if (presented === undefined || known === undefined || !isSameHash(presented.hash, known.hash)) {
    throw new AppError('ENROLMENT_TOKEN_INVALID', 'the enrolment token is not one of this appliance, or was replaced by a newer one')
  }
  if (known.used) throw new AppError('ENROLMENT_TOKEN_USED', 'the enrolment token was used already')
  if (nowMs >= known.expiresAtMs) throw new AppError('ENROLMENT_TOKEN_EXPIRED', `the enrolment token expired at ${new Date(known.expiresAtMs).toISOString()}`)
  if (!await store.takeToken(presented.tokenId)) throw new AppError('ENROLMENT_TOKEN_USED', 'the enrolment token was used already')
  return await store.get(known.sourceId)
}
