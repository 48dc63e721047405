/**
 * What the agent costs the source, measured and held down by its priority (nice, and with it the order of its reads), within a limit. It never stops.
 * While it replicates it stands back at once, so that it takes what the source's own work leaves; but while replication is further behind than it
 * may be, the agent comes forward step by step until it is as it was started, however short the source is: what waits would only get more. A mirror, which nothing measures against,
 * steps back while the source is short of processor time, and less far. A drain, for which services are stopped and file systems frozen, never does.
 */
import { memoryUsage, resourceUsage } from 'node:process'
import { performance } from 'node:perf_hooks'
import type { Clock } from '../clock/clock.ts'
import { repeatUntilAborted } from '../clock/repeat.ts'
import type { AgentLoad } from '../domain/progress.ts'
import { agentLog } from '../logging/logger.ts'
import type { AgentWork, FollowedLoad } from '../source/session-replication.ts'
import { OwnPriority } from './own-priority.ts'
import { waitingForProcessor, WaitingSince } from './pressure.ts'

const LOOK_MS = 5000
/** how far a mirror steps back, and how far replication that is behind comes forward with each look: a burst of some seconds need not be caught up at once */
const NICE_STEP = 5
/** share of the time in which something waited for a processor, in percent */
const SHORT_PERCENT = 40
const PLENTY_PERCENT = 5

/** of the limit: what is behind has caught up when it is behind by less */
const CAUGHT_UP_SHARE = 0.5

/** How the agent stands to the rest of the source. */
export interface Standing { nice: number, isBehind: boolean }

/** lowest: as the agent was started; highest: the furthest back */
interface Limits { lowest: number, highest: number, maxBehindMs: number }

/**
 * How the agent stands from now on: never before `lowest`. Pure.
 * @param found waitingPercent: how much of the time programs wait for a processor
 */
export function nextStanding({ nice, isBehind }: Standing, { waitingPercent, work }: { waitingPercent: number, work: AgentWork }, { lowest, highest, maxBehindMs }: Limits): Standing {
  if (work === 'drain') return { nice: lowest, isBehind: false }
  if (work === 'other') return { nice: niceFor(waitingPercent, nice, { lowest, highest: Math.min(highest, lowest + NICE_STEP) }), isBehind: false }
  if (work.behindMs() > maxBehindMs * (isBehind ? CAUGHT_UP_SHARE : 1)) return { nice: Math.max(lowest, Math.min(nice, highest) - NICE_STEP), isBehind: true }
  return { nice: highest, isBehind: false }
}

function niceFor(waitingPercent: number, nice: number, { lowest, highest }: { lowest: number, highest: number }): number {
  if (nice > highest) return highest
  if (waitingPercent >= SHORT_PERCENT) return highest
  if (waitingPercent <= PLENTY_PERCENT) return lowest
  return nice
}

export class OwnLoad implements FollowedLoad {
  readonly #priority = new OwnPriority()
  readonly #limits: Limits
  #standing: Standing
  #work: AgentWork = 'other'
  #cpuPercent = 0
  #before = this.#now()
  #waiting: WaitingSince | undefined

  /** @param limits maxNice: the agent never steps back further, 0 to 19; maxBehindMs: it comes forward while replication is behind by more */
  constructor({ maxNice, maxBehindMs }: { maxNice: number, maxBehindMs: number }) {
    const { lowest } = this.#priority
    this.#limits = { lowest, highest: Math.max(lowest, maxNice), maxBehindMs }
    this.#standing = { nice: lowest, isBehind: false }
  }

  /** As it was found last. */
  get current(): AgentLoad {
    const { nice, isBehind } = this.#standing
    return { cpuPercent: this.#cpuPercent, memoryBytes: memoryUsage.rss(), nice, ...isBehind ? { isBehind } : {} }
  }

  /** What the agent does from now on; it stands accordingly at once. */
  follow(work: AgentWork): void {
    this.#work = work
    this.#stand(waitingForProcessor())
  }

  /** Whether the source was short of processor time since this was asked last; never while replication is behind: then its need goes before. */
  isSourceShort(): boolean {
    this.#waiting ??= new WaitingSince()
    return this.#waiting.percent() >= SHORT_PERCENT && !this.#standing.isBehind
  }

  /** Measures and adapts until the signal aborts, and resolves then. */
  async watch(clock: Clock, signal: AbortSignal): Promise<void> {
    await repeatUntilAborted(() => { this.look() }, { clock, pauseMs: LOOK_MS }, signal)
  }

  /** One look: what the agent took since the last one, and whether it steps back. */
  look(waitingPercent = waitingForProcessor()): void {
    const now = this.#now()
    const elapsedMs = now.atMs - this.#before.atMs
    if (elapsedMs > 0) this.#cpuPercent = Math.round((now.cpuMs - this.#before.cpuMs) / elapsedMs * 1000) / 10
    this.#before = now
    this.#stand(waitingPercent)
  }

  #stand(waitingPercent: number): void {
    const before = this.#standing
    const next = nextStanding(before, { waitingPercent, work: this.#work }, this.#limits)
    const stands = next.nice === before.nice || this.#priority.set(next.nice)
    this.#standing = stands ? next : { ...next, nice: before.nice }
    const facts = { nice: this.#standing.nice, before: before.nice, waitingPercent, cpuPercent: this.#cpuPercent }
    if (next.isBehind !== before.isBehind) agentLog.info(facts, next.isBehind ? 'replication is further behind than it may be: the agent comes forward' : 'replication has caught up')
    if (facts.nice !== before.nice) agentLog.info(facts, facts.nice > before.nice ? 'the agent steps back behind the work of the source' : 'the agent comes forward again')
  }

  #now(): { atMs: number, cpuMs: number } {
    const { userCPUTime, systemCPUTime } = resourceUsage()
    return { atMs: performance.now(), cpuMs: (userCPUTime + systemCPUTime) / 1000 }
  }
}
