/**
 * What the agent costs the source, measured and held down: when the source is short of processor time the agent steps back by its priority
 * (nice, and with it the order of its reads), within a limit, and comes forward again when there is time. It never stops. While replication
 * is further behind than it may be, the agent is as it was started, however short the source is: what waits would only get more.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, getPriority, loadavg, setPriority } from 'node:os'
import { memoryUsage, resourceUsage } from 'node:process'
import { performance } from 'node:perf_hooks'
import type { Clock } from '../clock/clock.ts'
import type { AgentLoad } from '../domain/progress.ts'
import { agentLog } from '../logging/logger.ts'

const LOOK_MS = 5000
const NICE_STEP = 5
/** share of the time in which something waited for a processor, in percent (pressure stall information, over 10 s) */
const SHORT_PERCENT = 40
const PLENTY_PERCENT = 5

/** of the limit: what is behind has caught up when it is behind by less */
const CAUGHT_UP_SHARE = 0.5

/** How the agent stands to the rest of the source. */
export interface Standing { nice: number, isBehind: boolean }

/**
 * How the agent stands from now on. Pure.
 * @param found waitingPercent: how much of the time programs wait for a processor; behindMs: how far replication is behind
 * @param limits lowest: as the agent was started; highest: the furthest back
 */
export function nextStanding(
  { nice, isBehind }: Standing, { waitingPercent, behindMs }: { waitingPercent: number, behindMs: number }, { lowest, highest, maxBehindMs }: { lowest: number, highest: number, maxBehindMs: number },
): Standing {
  if (behindMs > maxBehindMs * (isBehind ? CAUGHT_UP_SHARE : 1)) return { nice: Math.min(nice, lowest), isBehind: true }
  return { nice: niceFor(waitingPercent, nice, { lowest, highest }), isBehind: false }
}

function niceFor(waitingPercent: number, nice: number, { lowest, highest }: { lowest: number, highest: number }): number {
  if (waitingPercent >= SHORT_PERCENT) return Math.max(nice, Math.min(highest, nice + NICE_STEP))
  if (waitingPercent <= PLENTY_PERCENT) return Math.min(nice, Math.max(lowest, nice - NICE_STEP))
  return nice
}

export class OwnLoad {
  readonly #limits: { lowest: number, highest: number, maxBehindMs: number }
  #standing: Standing
  #behindMs: (() => number) | undefined
  #cpuPercent = 0
  #before = this.#now()

  /** @param limits maxNice: the agent never steps back further, 0 to 19; maxBehindMs: it does not step back while replication is behind by more */
  constructor({ maxNice, maxBehindMs }: { maxNice: number, maxBehindMs: number }) {
    const lowest = getPriority()
    this.#limits = { lowest, highest: Math.max(lowest, maxNice), maxBehindMs }
    this.#standing = { nice: lowest, isBehind: false }
  }

  /** As it was found last. */
  get current(): AgentLoad {
    const { nice, isBehind } = this.#standing
    return { cpuPercent: this.#cpuPercent, memoryBytes: memoryUsage.rss(), nice, ...isBehind ? { isBehind } : {} }
  }

  /** From now on replication is as far behind as this tells; undefined: none goes on. */
  follow(behindMs: (() => number) | undefined): void {
    this.#behindMs = behindMs
  }

  /** Measures and adapts until the signal aborts, and resolves then. */
  async watch(clock: Clock, signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      this.look()
      try {
        await clock.sleep(LOOK_MS, signal)
      } catch (error) {
        if (!isOver()) throw error
      }
    }
  }

  /** One look: what the agent took since the last one, and whether it steps back. */
  look(waitingPercent = waitingForProcessor()): void {
    const now = this.#now()
    const elapsedMs = now.atMs - this.#before.atMs
    if (elapsedMs > 0) this.#cpuPercent = Math.round((now.cpuMs - this.#before.cpuMs) / elapsedMs * 1000) / 10
    this.#before = now
    const behindMs = this.#behindMs?.() ?? 0
    const before = this.#standing
    const next = nextStanding(before, { waitingPercent, behindMs }, this.#limits)
    const stands = next.nice === before.nice || setNice(next.nice)
    this.#standing = stands ? next : { ...next, nice: before.nice }
    const facts = { nice: this.#standing.nice, before: before.nice, waitingPercent, behindMs, cpuPercent: this.#cpuPercent }
    if (next.isBehind !== before.isBehind) agentLog.info(facts, next.isBehind ? 'replication is further behind than it may be: the agent does not step back' : 'replication has caught up')
    if (facts.nice !== before.nice) agentLog.info(facts, facts.nice > before.nice ? 'the source is short of processor time: the agent steps back' : 'the agent comes forward again')
  }

  #now(): { atMs: number, cpuMs: number } {
    const { userCPUTime, systemCPUTime } = resourceUsage()
    return { atMs: performance.now(), cpuMs: (userCPUTime + systemCPUTime) / 1000 }
  }
}

/** Of all threads: on Linux each has its own. @returns false when it is not allowed, which is no failure of the agent */
function setNice(nice: number): boolean {
  try {
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), nice)
    return true
  } catch (error) {
    agentLog.debug({ err: error, nice }, 'the priority could not be set')
    return false
  }
}

/** Percent of the last 10 s in which a program waited for a processor; from the load where the kernel does not tell (before 4.20). */
export function waitingForProcessor(): number {
  try {
    const some = /^some avg10=([0-9.]+)/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))
    if (some?.[1] !== undefined) return Number(some[1])
  } catch (error) {
    agentLog.trace({ err: error }, 'the kernel does not tell the pressure')
  }
  const perProcessor = (loadavg()[0] ?? 0) / availableParallelism()
  return Math.min(100, Math.max(0, (perProcessor - 1) * SHORT_PERCENT))
}
