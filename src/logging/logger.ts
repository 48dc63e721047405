/** All loggers, made once. Object first, then a fixed sentence: `jobLog.warn({ err, volume }, 'volume could not be unmounted')`. */
import pino, { type Logger } from 'pino'
import { isAppError } from '../errors/app-error.ts'
import { HeldLines } from './held-lines.ts'

export type { Logger } from 'pino'

/** Keys that never reach a log, at any of the depths we log. */
export const SECRETS: readonly string[] = ['password', 'token', 'key', 'privateKey', 'cookie', 'authorization', 'ticket', 'secret', 'passphrase']

/** What stands in their place. */
export const CENSORED = '[secret]'

interface LoggedError { name: string, code?: string, message: string, stack?: string, cause?: LoggedError }

const MAX_CAUSES = 5

/** Name, code, message, stack and cause chain, and nothing else: errors of libraries carry whole requests with passwords in them. */
export function serialiseError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) }
  const code: unknown = isAppError(error) ? error.code : (error as Error & { code?: unknown }).code
  return {
    name: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: serialiseError(error.cause, depth + 1) }),
  }
}

const standardError = pino.destination({ dest: 2, sync: true })
const lines = new HeldLines(line => { standardError.write(line) })

const root: Logger = pino({
  level: process.env['LANDFALL_LOG_LEVEL'] ?? 'info',
  base: { pid: process.pid },
  timestamp: pino.stdTimeFunctions.isoTime,
  serializers: { err: (error: unknown) => serialiseError(error) },
  redact: { paths: SECRETS.flatMap(k => [k, `*.${k}`, `*.*.${k}`]), censor: CENSORED },
}, lines)

/**
 * Keeps what is logged in memory (the last of it) until the answer is called: a line that goes to a frozen file system, or into a pipe that
 * nobody there empties, would stop the process. Calling the answer again does nothing.
 */
export function holdLogs(): () => void {
  return lines.hold()
}

export const agentLog = root.child({ part: 'agent' })
export const applianceLog = root.child({ part: 'appliance' })
export const apiLog = root.child({ part: 'api' })
export const jobLog = root.child({ part: 'job' })
export const linkLog = root.child({ part: 'link' })
export const captureLog = root.child({ part: 'capture' })
export const storageLog = root.child({ part: 'storage' })
export const hypervisorLog = root.child({ part: 'hypervisor' })
