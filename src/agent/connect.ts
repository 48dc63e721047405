/** Keeps one outgoing connection: dials, serves, and dials again, with growing pauses while it does not work. */
import type { Clock } from '../clock/clock.ts'
import { isAppError } from '../errors/app-error.ts'
import type { Logger } from '../logging/logger.ts'

export interface KeepConnectedOptions {
  /** One connection from dialling to its end; calls `welcomed` when the appliance has taken it. Resolves when the appliance closed it orderly. */
  serve: (welcomed: () => void, signal: AbortSignal) => Promise<void>
  clock: Clock
  log: Logger
  /** 0 (inclusive) to 1, for jitter */
  random?: () => number
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/**
 * Runs until the signal aborts, and resolves then.
 * @throws {AppError} PROTOCOL_VERSION or PEER_UNTRUSTED when the appliance refuses this agent, or is another one: only a person can help
 */
export async function keepConnected({ serve, clock, log, random = Math.random }: KeepConnectedOptions, signal: AbortSignal): Promise<void> {
  const isOver = (): boolean => signal.aborted
  for (let failures = 0; !isOver(); failures++) {
    try {
      await serve(() => {
        failures = 0
        log.info('connected to the appliance')
      }, signal)
      log.info('the appliance closed the connection')
    } catch (error) {
      if (isOver()) return
      if (isAppError(error, 'PROTOCOL_VERSION') || isAppError(error, 'PEER_UNTRUSTED')) throw error
      // what is no error of ours is a defect, but a source must not be lost to the appliance by it
      if (isAppError(error)) log.warn({ err: error }, 'the appliance is not connected')
      else log.error({ err: error }, 'the connection failed')
    }
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16))
    try {
      await clock.sleep(longest * (0.5 + random() / 2), signal)
    } catch (error) {
      if (!isOver()) throw error
    }
  }
}
