/** Who may call: API tokens with a role. */
import type { Clock } from '../clock/clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessStore, Role } from '../server/server-store.ts'
import { isSameHash, readToken } from '../server/token.ts'
import type { Caller } from './endpoint.ts'
import type { FailureLimit } from './failure-limit.ts'

export interface AccessParts { access: AccessStore, clock: Pick<Clock, 'now'>, failures: FailureLimit }

/**
 * The caller behind an Authorization header.
 * @throws {AppError} ACCESS_DENIED, ACCESS_FORBIDDEN when its role is too low, RATE_LIMITED
 */
export async function authorise({ access, clock, failures }: AccessParts, authorization: string | undefined, needed: Role, address: string): Promise<Caller> {
  failures.check(address)
  const presented = readToken(/^Bearer ([\w-]{1,200})$/i.exec(authorization ?? '')?.[1] ?? '')
  const known = presented === undefined ? undefined : await access.find(presented.tokenId)
  if (presented === undefined || known === undefined || !isSameHash(presented.hash, known.hash)) {
    if (authorization !== undefined) failures.failed(address)
    throw new AppError('ACCESS_DENIED', authorization === undefined ? 'this needs an API token in the Authorization header' : 'the API token is not valid')
  }
  if (known.expiresAtMs !== undefined && clock.now() >= known.expiresAtMs) {
    throw new AppError('ACCESS_DENIED', `the API token ${known.name} expired at ${new Date(known.expiresAtMs).toISOString()}`)
  }
  if (needed === 'admin' && known.role !== 'admin') throw new AppError('ACCESS_FORBIDDEN', `the API token ${known.name} may look, but not change anything`)
  return { name: known.name, role: known.role }
}
