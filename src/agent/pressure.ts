/** How short the source is of processor time: pressure stall information of the kernel (since 4.20, `Documentation/accounting/psi.rst`). */
import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { performance } from 'node:perf_hooks'
import { agentLog } from '../logging/logger.ts'

/** what a load of one more than there are processors counts as, in percent, where the kernel does not tell */
const ONE_MORE_PERCENT = 40

/** Percent of the last 10 s in which a program waited for a processor; from the load where the kernel does not tell. */
export function waitingForProcessor(): number {
  const told = some(/ avg10=([0-9.]+)/)
  if (told !== undefined) return told
  const perProcessor = (loadavg()[0] ?? 0) / availableParallelism()
  return Math.min(100, Math.max(0, (perProcessor - 1) * ONE_MORE_PERCENT))
}

/** Of the time between two askings. */
export class WaitingSince {
  #before = waitedMs()

  /** Percent of the time since it was asked last in which a program waited for a processor; 0 where the kernel does not tell. */
  percent(): number {
    const [before, now] = [this.#before, waitedMs()]
    this.#before = now
    const elapsedMs = now.atMs - before.atMs
    return elapsedMs <= 0 ? 0 : Math.min(100, (now.waitedMs - before.waitedMs) / elapsedMs * 100)
  }
}

function waitedMs(): { atMs: number, waitedMs: number } {
  return { atMs: performance.now(), waitedMs: (some(/ total=([0-9]+)/) ?? 0) / 1000 }
}

function some(figure: RegExp): number | undefined {
  try {
    const line = /^some .*$/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[0] ?? ''
    const told = figure.exec(line)?.[1]
    return told === undefined ? undefined : Number(told)
  } catch (error) {
    agentLog.trace({ err: error }, 'the kernel does not tell the pressure')
    return undefined
  }
}
