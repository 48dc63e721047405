/** The audit log: every change that a user makes or tries, with what was asked for and how it ended. It is part of the log, whatever level that has. */
import { isAppError } from '../errors/app-error.ts'
import { CENSORED, SECRETS, type Logger } from '../logging/logger.ts'
import type { Caller, Route } from './endpoint.ts'

/** A call that is under way, as far as it is known. */
export interface AuditedCall { caller?: Caller, address: string, parameters: object, query?: unknown, body?: unknown }

const MAX_TEXT = 200
const MAX_ITEMS = 100

/** Tells how a call ended: `undefined` for one that was answered. Calls that change nothing, and those of whoever fails too often, are not told. */
export function auditor({ id, method, access }: Route<unknown, unknown, unknown>, log: Logger): (call: AuditedCall, error?: unknown) => void {
  if (access !== 'admin' && method === 'get') return () => undefined
  const always = log.child({}, { level: 'info' })
  return ({ caller, address, parameters, query, body }, error) => {
    const outcome = outcomeOf(error)
    if (outcome === 'RATE_LIMITED') return
    always.info({ audit: id, user: caller?.name ?? '', role: caller?.role ?? '', address, parameters, query: told(query), body: told(body), outcome }, 'audit')
  }
}

/** aborted: the client went away, or the appliance stopped, and what was begun may be done. */
function outcomeOf(error: unknown): string {
  if (error === undefined) return 'done'
  if (isAppError(error)) return error.code
  return error instanceof Error && error.name === 'AbortError' ? 'aborted' : 'INTERNAL'
}

/** A value without secrets, and no longer than a person reads. */
export function told(value: unknown): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map(told)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).slice(0, MAX_ITEMS).map(([key, item]) => [key, SECRETS.includes(key) ? CENSORED : told(item)]))
}
