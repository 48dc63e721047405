/**
 * The agent's share of the processors against the rest of the source. A nice value alone counts only among the programs of one group of the
 * scheduler: most kernels make one of each session (autogroup, sched(7)), and systemd one of each service where anything asked for it. So the group
 * steps back with its threads, where it holds nobody but the agent.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { basename, join } from 'node:path'
import { agentLog } from '../logging/logger.ts'

/** A nice value of a group, or a weight: a file of the kernel, what it held at the start, and what a step back by so much makes of that. */
interface GroupFile { file: string, start: number, stepped: (start: number, back: number) => number }

const MAX_NICE = 19
/** one nice step, in processor time against a neighbour (sched_prio_to_weight of the kernel) */
const STEP_WEIGHT = 1.25
/** of cpu.shares */
const LEAST_SHARES = 2

const steppedNice = (start: number, back: number): number => Math.min(MAX_NICE, start + back)
const steppedShares = (start: number, back: number): number => Math.max(LEAST_SHARES, Math.round(start / STEP_WEIGHT ** back))

export class OwnPriority {
  /** nice, as the agent was started */
  readonly lowest = getPriority()
  readonly #groups: readonly GroupFile[]

  constructor({ self = '/proc/self', controlGroups = '/sys/fs/cgroup', isStartedByInit = process.ppid === 1 } = {}) {
    this.#groups = [...autogroup(self), ...isStartedByInit ? controlGroup(self, controlGroups) : []]
  }

  /** All threads of this process, on Linux each has its own, and its groups. @returns false when it is not allowed, which is no failure of the agent */
  set(nice: number): boolean {
    try {
      for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), nice)
    } catch (error) {
      agentLog.debug({ err: error, nice }, 'the priority could not be set')
      return false
    }
    for (const { file, start, stepped } of this.#groups) {
      try {
        writeFileSync(file, String(stepped(start, nice - this.lowest)))
      } catch (error) {
        agentLog.debug({ err: error, nice, file }, 'the priority of the group could not be set')
      }
    }
    return true
  }
}

/** Of a session that this process leads: others may hold a shell of somebody. */
function autogroup(self: string): GroupFile[] {
  const file = join(self, 'autogroup')
  const start = / nice (-?\d+)$/m.exec(textOf(file) ?? '')?.[1]
  if (start === undefined || sessionOf(self) !== process.pid) return []
  return [{ file, start: Number(start), stepped: steppedNice }]
}

/** Of the service that this process is, by either version of control groups; none where the service has no share of its own. */
function controlGroup(self: string, controlGroups: string): GroupFile[] {
  return (textOf(join(self, 'cgroup')) ?? '').split('\n').flatMap(line => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (!basename(path).endsWith('.service')) return []
    if (controllers === '') return weightFile(join(controlGroups, path, 'cpu.weight.nice'), steppedNice)
    if (!controllers.split(',').includes('cpu')) return []
    return weightFile(join(controlGroups, controllers, path, 'cpu.shares'), steppedShares)
  })
}

function weightFile(file: string, stepped: GroupFile['stepped']): GroupFile[] {
  const start = Number(textOf(file))
  return Number.isNaN(start) ? [] : [{ file, start, stepped }]
}

/** The sixth field of stat: the second, in brackets, may hold anything. NaN: it cannot be told. */
function sessionOf(self: string): number {
  return Number(textOf(join(self, 'stat'))?.split(') ').at(-1)?.split(' ')[3])
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
