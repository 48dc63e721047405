/** One round of the soak: a fresh pair of file systems, workloads, faults, a drain, and the comparison. All that is chosen follows from the seed. */
import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fillUp } from '../interrupted/ballast.ts'
import { Random } from '../interrupted/random.ts'
import { differences } from '../oracle.ts'
import { prepareWorkloads, runWorkloads, WORKLOADS, type Workload } from '../workloads/workloads.ts'
import { mountLoop, type LoopType } from '../zoo/loop-file-system.ts'
import { Ends } from './ends.ts'
import type { SoakEvent } from './protocol.ts'

export interface Round { seed: number, type: LoopType, faults: readonly Fault[] }

export interface RoundResult {
  workloads: readonly string[]
  /** what happened, with seconds since the round began */
  happened: readonly string[]
  /** none: the replica was equal */
  differences: readonly string[]
  changes: number, latencyMsP99: number
}

export const FAULTS = ['kill-agent', 'end-agent', 'kill-receiver', 'cut', 'full', 'halt-agent', 'pause', 'stop', 'limit'] as const
export type Fault = typeof FAULTS[number]

const SIZE_MIB = 2048
const BEGIN_MS = 120_000
const DRAIN_MS = 300_000
const SHOWN_FINDINGS = 5

/** @throws {Error} when something ended that should not have; the message says what had happened */
export async function runRound({ seed, type, faults }: Round, folder: string, signal: AbortSignal): Promise<RoundResult> {
  const random = new Random(seed)
  const workloads = WORKLOADS.filter(({ name }) => name === 'churn' || random.chance(0.4))
  const seconds = 10 + random.below(30)
  const began = performance.now()
  const happened: string[] = []
  const note = (what: string): void => { happened.push(`${((performance.now() - began) / 1000).toFixed(1)} ${what}`) }
  const watch = new Watch(note)
  try {
    using source = mountLoop(type, SIZE_MIB)
    using target = mountLoop(type, SIZE_MIB)
    // databases run as a user of their own
    chmodSync(dirname(source.path), 0o711)
    const replica = join(target.path, 'replica')
    mkdirSync(replica)
    await prepareWorkloads(workloads, source.path)
    await using ends = await Ends.open(folder, { source: source.path, target: replica }, event => { watch.see(event) })
    ends.startReceiver()
    ends.startAgent()
    const quiet = new AbortController()
    const inner = AbortSignal.any([signal, watch.failed])
    // now and then while it still mirrors
    if (random.chance(0.3)) await watch.mirrors(BEGIN_MS, inner)
    else await watch.replicates(BEGIN_MS, inner)
    const disturbance = { ends, volume: target.path, random, note, faults }
    const faulting = disturb(disturbance, quiet.signal, inner)
    try {
      await runWorkloads(workloads, source.path, seconds, seed, inner)
      note('quiet')
    } finally {
      quiet.abort()
      await faulting
    }
    ends.order({ order: 'drain' })
    if (random.chance(0.3)) await disturbOnce(disturbance, inner)
    const drained = await watch.drained(DRAIN_MS, inner)
    note(`drained, ${String(watch.findings)} findings`)
    const found = await differences(source.path, replica)
    return { workloads: workloads.map(({ name }) => name), happened, differences: found, changes: drained.changes, latencyMsP99: drained.latencyMsP99 }
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nworkloads: ${workloads.map(({ name }: Workload) => name).join(', ')}\n${happened.join('\n')}`, { cause: error })
  }
}

interface Disturbance { ends: Ends, volume: string, random: Random, note: (what: string) => void, faults: readonly Fault[] }

/** A fault now and then, until the source is quiet. What was ended runs again when this resolves. */
async function disturb(disturbance: Disturbance, quiet: AbortSignal, signal: AbortSignal): Promise<void> {
  const over = AbortSignal.any([quiet, signal])
  const isOver = (): boolean => over.aborted
  for (;;) {
    await sleep(500 + disturbance.random.below(8000), over)
    if (isOver()) return
    await disturbOnce(disturbance, over)
  }
}

async function sleep(ms: number, over: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal: over }).catch(() => undefined)
}

async function disturbOnce({ ends, volume, random, note, faults: [first, ...more] }: Disturbance, over: AbortSignal): Promise<void> {
  if (first === undefined) return
  const fault = random.pick([first, ...more])
  const lastsMs = random.below(4000)
  note(`${fault}${fault === 'cut' ? '' : ` for ${String(lastsMs)} ms`}`)
  switch (fault) {
    case 'kill-agent': case 'end-agent':
      await ends.endAgent(fault === 'kill-agent' ? 'SIGKILL' : 'SIGTERM')
      await sleep(lastsMs, over)
      ends.startAgent()
      break
    case 'kill-receiver':
      await ends.killReceiver()
      await sleep(lastsMs, over)
      ends.startReceiver()
      break
    case 'cut': ends.line.cut(); break
    case 'full': {
      const filled = fillUp(volume, random.below(4_000_000))
      await sleep(lastsMs, over)
      filled.remove()
      break
    }
    case 'pause': case 'stop':
      ends.order({ order: fault })
      await sleep(lastsMs, over)
      ends.order({ order: 'resume' })
      break
    case 'limit':
      ends.order({ order: 'limit', bandwidthBytesPerS: 10_000 + random.below(1_000_000) })
      await sleep(lastsMs, over)
      ends.order({ order: 'limit' })
      break
    case 'halt-agent':
      ends.haltAgent()
      await sleep(lastsMs, over)
      ends.resumeAgent()
  }
}

/** What the receiver has told. */
class Watch {
  readonly #note: (what: string) => void
  #findings = 0
  readonly #failed = new AbortController()
  readonly #mirrors = Promise.withResolvers<undefined>()
  readonly #replicates = Promise.withResolvers<undefined>()
  readonly #drained = Promise.withResolvers<Extract<SoakEvent, { event: 'drained' }>>()
  constructor(note: (what: string) => void) { this.#note = note }

  /** A file that vanishes while it is read is one: there may be thousands in a round. */
  get findings(): number { return this.#findings }

  /** aborted when the receiver ended by itself */
  get failed(): AbortSignal { return this.#failed.signal }

  see(event: SoakEvent): void {
    switch (event.event) {
      case 'listening': return
      case 'replicating': this.#replicates.resolve(undefined); return
      case 'mirroring':
        this.#note(`mirror, comparing ${event.compare}`)
        this.#mirrors.resolve(undefined)
        return
      case 'interrupted': this.#note(`interrupted: ${event.code} ${event.message}`); return
      case 'finding':
        this.#findings += 1
        if (this.#findings <= SHOWN_FINDINGS) this.#note(`finding: ${event.text}`)
        return
      case 'drained': this.#drained.resolve(event); return
      case 'failed': this.#failed.abort(new Error(`the receiver ended: ${event.code} ${event.message}`))
    }
  }

  async mirrors(withinMs: number, signal: AbortSignal): Promise<void> {
    await within('mirroring', this.#mirrors.promise, withinMs, signal)
  }

  async replicates(withinMs: number, signal: AbortSignal): Promise<void> {
    await within('replicating', this.#replicates.promise, withinMs, signal)
  }

  async drained(withinMs: number, signal: AbortSignal): Promise<Extract<SoakEvent, { event: 'drained' }>> {
    return await within('drained', this.#drained.promise, withinMs, signal)
  }
}

async function within<T>(what: string, promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  const over = new AbortController()
  const late = async (): Promise<never> => {
    await pause(ms, undefined, { signal: AbortSignal.any([signal, over.signal]) })
    throw new Error(`not ${what} within ${String(ms)} ms`)
  }
  try {
    return await Promise.race([promise, late()])
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    over.abort()
  }
}
