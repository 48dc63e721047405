/**
 * What a source keeps for its job whether it is connected or not: the opened volumes, the capture of changes, the frozen file systems. It
 * promises that nothing of a job is left after `release`, and that a frozen source thaws when nobody holds it. One job at a time.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Change, ChangeSource } from '../capture/change-source.ts'
import { continuedChanges } from '../capture/continued-changes.ts'
import { InTurn } from '../clock/in-turn.ts'
import { checkRules, type Rule } from '../domain/rule.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { captureLog } from '../logging/logger.ts'
import type { Frozen } from '../replication/freezer.ts'
import { LatencyHistogram } from '../replication/latency.ts'
import { ruledChanges } from '../replication/ruled-changes.ts'
import { SafePoint } from '../replication/safe-point.ts'
import { ruledSourceTree } from '../tree/ruled-source-tree.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import { EVERYTHING, type VolumeRules } from '../tree/volume-rules.ts'
import type { VolumeRoot } from '../wire/messages.ts'
import type { Quiesce } from '../domain/quiesce.ts'
import type { QuiesceNote, Reached } from '../wire/messages.ts'
import type { Quiescer } from './quiescer.ts'
import { CaptureCount } from './capture-count.ts'
import type { CaptureKeeper } from './capture-keeper.ts'
import { MAX_KEPT_CHANGES } from './kept-capture.ts'
import { compileForVolumes } from './rules-of-volumes.ts'

export interface CaptureSeams {
  /** where a volume that the appliance names by its mount point lies on this machine. @throws {AppError} SOURCE_MISSING */
  resolve: (mountPoint: string) => string
  openTree: (path: string, signal: AbortSignal) => Promise<SourceTree>
  openChanges: (volumes: ReadonlyMap<number, string>, signal: AbortSignal) => Promise<ChangeSource>
  /** never part of a replica, whatever the rules of a job say */
  leftOut?: readonly Rule[]
  /** keeps how far the capture has come, so that the next agent goes on; left out: a restart needs a new mirror */
  keeper?: CaptureKeeper
  freeze: (paths: readonly string[], options: { holdMs: number }, signal: AbortSignal) => Promise<Frozen>
  /** brings applications to rest; left out: there are none */
  quiescer?: Pick<Quiescer, 'quiesce' | 'restore' | 'finish'>
}

/** The opened volumes of a job, by index on the wire, and the changes that are captured on them. */
export interface Capturing {
  readonly jobId: string
  readonly roots: readonly VolumeRoot[]
  readonly ruleList: readonly Rule[]
  readonly rules: ReadonlyMap<number, VolumeRules>
  readonly paths: ReadonlyMap<number, string>
  /** as the rules let them be seen, and so the changes */
  readonly volumes: ReadonlyMap<number, SourceTree>
  readonly changes: ChangeSource
  /** up to when all is durable on the replica */
  readonly safe: SafePoint
  /** how long changes took from being made to being durable there */
  readonly latency: LatencyHistogram
  readonly count: CaptureCount
}

/** how often within the hold time a source that holds itself does so */
const HOLDS_PER_PERIOD = 4
/** a service is killed when it takes too long to stop */
const STOP_MS = 20_000

export class SourceCapture implements AsyncDisposable {
  readonly #seams: CaptureSeams
  #capturing: (Capturing & { resources: AsyncDisposableStack }) | undefined
  #frozen: Frozen | undefined
  #holding: NodeJS.Timeout | undefined
  /** one change of what is open or frozen at a time */
  readonly #turns = new InTurn()

  constructor(seams: CaptureSeams) {
    this.#seams = seams
  }

  /** '' when nothing is captured */
  get epoch(): string { return this.#capturing?.changes.epoch ?? '' }
  get jobId(): string { return this.#capturing?.jobId ?? '' }

  /** What `prepare` opened. @throws {AppError} REQUEST_INVALID before it */
  get current(): Capturing {
    if (this.#capturing === undefined) throw new AppError('REQUEST_INVALID', 'the source was not prepared for a job')
    return this.#capturing
  }

  /**
   * Opens the volumes and starts the capture; goes on when it runs for this job, these volumes and rules already, and they are still there.
   * @throws {AppError} SOURCE_MISSING, SOURCE_UNSUPPORTED, CAPTURE_UNSUPPORTED, RULE_INVALID; nothing is captured then
   */
  async prepare(jobId: string, roots: readonly VolumeRoot[], ruleList: readonly Rule[], signal: AbortSignal): Promise<Capturing> {
    return await this.#turns.run(async () => {
      if (this.#capturing?.jobId === jobId && sameRoots(this.#capturing.roots, roots) && isDeepStrictEqual(this.#capturing.ruleList, ruleList)
        && !await hasLostVolume(this.#capturing.changes, signal)) return this.#capturing
      checkRules(ruleList)
      const rules = compileForVolumes([...ruleList, ...this.#seams.leftOut ?? []], roots)
      await this.#release(false)
      await using opening = new AsyncDisposableStack()
      const paths = new Map(roots.map(root => [root.index, this.#seams.resolve(root.path)]))
      // the trees first: they say what is missing or not supported; nothing is read before the capture runs
      const volumes = new Map<number, SourceTree>()
      for (const [index, path] of paths) volumes.set(index, opening.use(ruledSourceTree(await this.#seams.openTree(path, signal), rules.get(index) ?? EVERYTHING)))
      const { keeper } = this.#seams
      const captured = { jobId, roots: [...roots], rules: [...ruleList], identities: await keeper?.identities(paths.values()) ?? [] }
      const opened = opening.use(await this.#seams.openChanges(paths, signal))
      const continued = await keeper?.consume(captured)
      const changes = ruledChanges(continued === undefined ? opened : continuedChanges(opened, continued), rules)
      const safe = new SafePoint(changes.startedAtNs, { now: () => Date.now() })
      const count = new CaptureCount(continued?.kept ?? 0)
      keeper?.watch({ ...captured, epoch: changes.epoch }, { safe, count }, continued !== undefined)
      this.#capturing = { jobId, roots, ruleList, rules, paths, volumes, changes, safe, latency: new LatencyHistogram(), count, resources: opening.move() }
      return this.#capturing
    })
  }

  /** Where this capture had come further once, the source was set back to an earlier state since: all of it is compared with the replica. */
  async checkReached({ captureEpoch, position }: Reached): Promise<void> {
    const { changes, count, roots, safe } = this.current
    if (changes.epoch !== captureEpoch || !count.passes(position)) return
    captureLog.warn({ reached: position }, 'this machine or its disk was set back to an earlier state; everything is compared')
    safe.nothing()
    const atMs = Date.now()
    changes.putBack(roots.map(({ index: volume }) => ({ kind: 'rescan', volume, sinceMs: 0, atMs, why: ['volume-rolled-back'] })))
    // what is told from now on is on the disk, so that an agent that is killed knows that it was seen to
    await this.#seams.keeper?.keepNow()
  }

  /**
   * Goes on at once with what an agent before this one captured, so that nothing is missed until the appliance asks; nothing when there is
   * no such thing, or other file systems are mounted there.
   * @throws {AppError} as `prepare`
   */
  async resume(signal: AbortSignal): Promise<void> {
    const { keeper, resolve } = this.#seams
    const left = await keeper?.left()
    if (keeper === undefined || left === undefined) return
    const identities = await keeper.identities(left.roots.map(root => resolve(root.path)))
    if (isDeepStrictEqual(identities, left.identities)) await this.prepare(left.jobId, left.roots, left.rules, signal)
  }

  /** The replica is complete, and follows: what is captured is kept from now on. */
  async protect(): Promise<void> {
    await this.#seams.keeper?.protect()
  }

  /** Freezes the volumes' file systems; thaws first what was frozen before. @throws {AppError} FREEZE_FAILED */
  async freeze(holdMs: number, signal: AbortSignal): Promise<Frozen> {
    return await this.#turns.run(async () => {
      await this.#thaw()
      const { keeper } = this.#seams
      await keeper?.pause()
      let frozen: Frozen
      try {
        frozen = await this.#seams.freeze([...this.current.paths.values()], { holdMs }, signal)
      } catch (error) {
        keeper?.resume()
        throw error
      }
      this.#frozen = frozen
      // nobody held it: the source serves again, and so must its services
      frozen.thawed.addEventListener('abort', () => {
        if (isAppError(frozen.thawed.reason, 'SOURCE_THAWED')) void this.#seams.quiescer?.restore()
      }, { once: true })
      return frozen
    })
  }

  /** Runs scripts and stops services; answers when the first one was stopped. Thawing starts them again. @throws {AppError} PRE_SCRIPT_INVALID, PRE_SCRIPT_FAILED, SERVICE_STOP_FAILED */
  async quiesce(request: Quiesce, note: (note: QuiesceNote) => Promise<void>, signal: AbortSignal): Promise<number | undefined> {
    if (this.#seams.quiescer === undefined) throw new AppError('REQUEST_INVALID', 'this agent runs no scripts and stops no services')
    return await this.#seams.quiescer.quiesce(request, note, signal)
  }

  /** The cutover is complete: what was stopped stays so from here on. */
  async finish(): Promise<void> {
    await this.#seams.quiescer?.finish({ frozen: this.#frozen !== undefined && !this.#frozen.thawed.aborted })
  }

  /** Keeps the source frozen; false when it is not frozen, or has thawed. @param forMs it holds itself for so long, too */
  async hold(forMs?: number): Promise<boolean> {
    const held = await this.#frozen?.hold() ?? false
    if (held && forMs !== undefined) this.holdItself(forMs)
    return held
  }

  /** From now on it holds itself, for so long, until it thaws, is released, or this process ends. */
  holdItself(forMs = Infinity): void {
    const frozen = this.#frozen
    if (frozen === undefined) return
    clearInterval(this.#holding)
    const untilMs = performance.now() + forMs
    this.#holding = setInterval(() => {
      if (performance.now() < untilMs) void frozen.hold() // never rejects; when it has thawed there is nothing left to hold
    }, frozen.holdMs / HOLDS_PER_PERIOD)
  }

  /** Thaws and starts the services that were stopped; the answer says which. */
  async thaw(): Promise<readonly QuiesceNote[]> {
    return await this.#turns.run(async () => {
      await this.#thaw()
      return await this.#seams.quiescer?.restore() ?? []
    })
  }

  /** Thaws, ends the capture, closes the volumes, and forgets what was kept of it. */
  async release(): Promise<void> {
    await this.#turns.run(async () => { await this.#release(false) })
  }

  /** As `release`, but what was captured is kept for the next agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.run(async () => { await this.#release(true) })
  }

  async #thaw(): Promise<void> {
    const frozen = this.#frozen
    clearInterval(this.#holding)
    this.#holding = undefined
    this.#frozen = undefined
    await frozen?.thaw()
    this.#seams.keeper?.resume()
  }

  async #release(keep: boolean): Promise<void> {
    await this.#thaw()
    await this.#seams.quiescer?.restore()
    const capturing = this.#capturing
    this.#capturing = undefined
    if (capturing === undefined) return
    try {
      if (keep) await this.#keep(capturing)
      else await this.#seams.keeper?.forget()
    } finally {
      await capturing.resources.disposeAsync()
    }
  }

  /** What cannot be kept is as after a crash. */
  async #keep({ changes }: Capturing): Promise<void> {
    const { keeper } = this.#seams
    if (keeper === undefined) return
    const stoppedAtMs = Date.now()
    try {
      await keeper.stopped(stoppedAtMs, await takeAll(changes, MAX_KEPT_CHANGES, AbortSignal.timeout(STOP_MS)))
    } catch (error) {
      captureLog.warn({ err: error }, 'what was captured could not be kept; the next agent compares what changed')
    }
  }
}

/** Everything that is marked, or, where that is more than `most`, more than that of it. */
async function takeAll(changes: ChangeSource, most: number, signal: AbortSignal): Promise<Change[]> {
  // an ended replication may have left a part of what it took
  const takings = changes.hasMore() ? 2 : 1
  const all: Change[] = []
  for (let taking = 0; taking < takings; taking++) {
    do all.push(...await changes.take(signal))
    while (changes.hasMore() && all.length <= most)
  }
  return all
}

/** Whether another file system is where a volume was. @throws {AppError} SOURCE_MISSING while there is none */
async function hasLostVolume(changes: ChangeSource, signal: AbortSignal): Promise<boolean> {
  if (!changes.status().degraded.some(({ kind }) => kind === 'volume-replaced')) return false
  try {
    changes.putBack(await changes.take(signal))
    return false
  } catch (error) {
    if (isAppError(error, 'CAPTURE_OVERFLOW')) return true
    throw error
  }
}

function sameRoots(a: readonly VolumeRoot[], b: readonly VolumeRoot[]): boolean {
  return isDeepStrictEqual(a, b)
}
