/**
 * The agent's side of replication: turns changes into operations by looking at the source as it is now, until the replica is equal.
 *
 *   const replicator = createReplicator({ volumes, changes, stream, report, clock })   // one per connection
 *   await replicator.run(signal)                       // cycles of 200 ms and more; resolves on abort, rejects when the link is lost
 *   const drained = await replicator.drain({ freeze: signal => freeze(mountPoints, { holdMs }, signal) }, signal)
 *   ... await drained.frozen?.hold() / thaw()
 *
 * Promises: a change is forgotten only when what carries it is durable on the replica, else it is put back to the change source; what
 * changes while it is read is marked again and looked at again; after a drain with the source quiet (or frozen) the replica is equal. It
 * never writes to the source. What events cannot tell is found by change time, now and then while it runs, and at every drain.
 */
import type { ReplicationProgress } from '../domain/progress.ts'
import { AppError, isAppError } from '../errors/app-error.ts'
import { CycleReports } from './cycle-reports.ts'
import { CYCLE_MS, Cycles, SHORT_OF_TIME_CYCLE_MS } from './cycles.ts'
import type { Frozen } from './freezer.ts'
import type { ReplicatorOptions } from './replicator-options.ts'

export type { ReplicatorOptions } from './replicator-options.ts'

export interface DrainOptions {
  /** Brings applications to rest, when most is on the replica and before the volumes are frozen. */
  quiesce?: ((signal: AbortSignal) => Promise<void>) | undefined
  /** Freezes the volumes before the last look; left out: nothing is frozen. */
  freeze?: ((signal: AbortSignal) => Promise<Frozen>) | undefined
}

export interface Drained {
  /** changes brought to the replica by this replicator, the drain's included */
  changes: number
  drainMs: number
  frozenAtMs: number | undefined
  progress: ReplicationProgress
  /** what `freeze` gave; the caller's from here on */
  frozen: Frozen | undefined
}

export interface Replicator {
  /**
   * Replicates until the signal aborts, and resolves then; what is under way is put back or done.
   * @throws {AppError} LINK_LOST when the link has ended: all that is not durable is back in the change source
   */
  run(signal: AbortSignal): Promise<void>
  /**
   * Brings every change to the replica and resolves when all is durable there. With `freeze` the source is frozen for the last look, and
   * stays so; should the drain fail or be aborted it is thawed. Without, what changes after the call may be left out.
   * @throws {AppError} FREEZE_FAILED also when the source thawed before all was durable; DRAIN_STUCK after three freezes in which nothing moved;
   * FREEZE_BUSY, FREEZE_TIMEOUT; what `quiesce` throws; LINK_LOST
   */
  drain(options: DrainOptions, signal: AbortSignal): Promise<Drained>
  progress(): ReplicationProgress
}

/** A cycle that took less is followed by a pause of at least its length: what changes again and again is then sent less often. */
const PACED_MS = 300
/** How often the volumes are walked by change time while replication runs; and never for more than a twentieth of the time. */
const SCAN_MS = 10 * 60_000
const SCAN_SHARE = 20
/** Few enough changes to freeze: the frozen drain takes well under a second. */
const FEW_CHANGES = 200
/** Rounds in which a busy source may come down to few changes before it is frozen as it is. */
const MAX_ROUNDS = 25
/** Rounds in a row in which it does not come down: what still waits is what changes in one of them, and goes on to. */
const LEVEL_ROUNDS = 3
/** Rounds after which an unfrozen source that never gets quiet counts as drained: all changes from before the drain are over. */
const MAX_QUIET_ROUNDS = 50
/** A scan before a freeze that took longer is followed by another one, as often as this. */
const SHORT_SCAN_MS = 1000
const MORE_SCANS = 3
/** how often a frozen source is held while the drain goes on */
const HOLDS_PER_TIME = 4
/** a frozen drain in which nothing moves for this part of the hold time thaws: a look at a file may hang until then, and works afterwards */
const STUCK_PART = 2
const MAX_FREEZES = 3

export function createReplicator(options: ReplicatorOptions): Replicator {
  return new ChangeReplicator(options)
}

class ChangeReplicator implements Replicator {
  readonly #options: ReplicatorOptions
  readonly #cycles: Cycles
  readonly #reports: CycleReports

  constructor(options: ReplicatorOptions) {
    this.#options = options
    this.#cycles = new Cycles({ ...options, moved: () => { this.#reports.report() } })
    this.#reports = new CycleReports(this.#cycles, options)
  }

  progress(): ReplicationProgress {
    return this.#cycles.progress()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    let scanAtMs = clock.now() + SCAN_MS
    // what is to be looked at again after a gap is shown before it is done
    this.#reports.report(true)
    try {
      while (!signal.aborted) {
        const began = clock.now()
        await this.#cycles.once({ thorough: false, frozen: false }, signal)
        if (!this.#cycles.isRescanning && (clock.now() >= scanAtMs || this.#cycles.wantsScan)) {
          // a clock that was set is shown before the walk that makes it good
          if (this.#cycles.wantsScan) this.#reports.report(true)
          const scanBegan = clock.now()
          await this.#cycles.scan({ thorough: false, frozen: false }, signal)
          scanAtMs = clock.now() + Math.max(SCAN_MS, (clock.now() - scanBegan) * SCAN_SHARE)
        }
        this.#reports.report()
        const took = clock.now() - began
        const cycleMs = this.#options.isSourceShort?.() === true ? SHORT_OF_TIME_CYCLE_MS : CYCLE_MS
        await clock.sleep(Math.max(0, cycleMs - took, took < PACED_MS ? took : 0), signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      // also on an abort between cycles: a replica that failed has dropped what was under way
      await this.#cycles.putBack()
    }
  }

  async drain(options: DrainOptions, signal: AbortSignal): Promise<Drained> {
    const began = this.#options.clock.now()
    let frozen: Frozen | undefined
    try {
      await this.#comeDown(signal)
      // most of what events did not tell is found before the freeze, so that the frozen scan finds little
      let tookMs = await this.#scanAndComeDown(signal)
      if (options.quiesce !== undefined) {
        await options.quiesce(signal)
        await this.#comeDown(signal)
      }
      // what changes while a scan goes on is for the next one, and the next one may be the frozen one
      for (let more = 0; options.freeze !== undefined && tookMs > SHORT_SCAN_MS && more < MORE_SCANS && !this.#cycles.isRescanning; more++) tookMs = await this.#scanAndComeDown(signal)
      if (options.freeze === undefined) await this.#lastLook(false, signal)
      for (let attempt = 1; options.freeze !== undefined && frozen === undefined; attempt++) frozen = await this.#freezeAndFinish(options.freeze, attempt === MAX_FREEZES, signal)
    } catch (error) {
      await this.#cycles.putBack()
      await frozen?.thaw()
      await this.#cycles.keepOpen(false)
      throw error
    }
    const progress = this.progress()
    this.#reports.report(true)
    return { changes: progress.changesApplied, drainMs: this.#options.clock.now() - began, frozenAtMs: frozen?.frozenAtMs, progress, frozen }
  }

  /** How long it took, in ms. */
  async #scanAndComeDown(signal: AbortSignal): Promise<number> {
    const { clock } = this.#options
    const began = clock.now()
    await this.#cycles.scan({ thorough: true, frozen: false }, signal)
    await this.#comeDown(signal)
    return clock.now() - began
  }

  /** Cycles until few changes wait, or the source stays busy. */
  async #comeDown(signal: AbortSignal): Promise<void> {
    let fewest = Infinity
    for (let round = 0, level = 0; round < MAX_ROUNDS && level < LEVEL_ROUNDS; round++) {
      await this.#cycles.once({ thorough: true, frozen: false }, signal)
      this.#reports.report()
      const { count } = this.#options.changes.pending()
      if (count <= FEW_CHANGES && !this.#cycles.isRescanning) return
      // of a queue that was full the count says nothing
      level = count < fewest * 0.9 && !this.#cycles.isRescanning ? 0 : level + 1
      fewest = Math.min(fewest, count)
    }
  }

  /** Undefined when the source was thawed because nothing moved, and may be frozen again. */
  async #freezeAndFinish(freeze: (signal: AbortSignal) => Promise<Frozen>, last: boolean, signal: AbortSignal): Promise<Frozen | undefined> {
    await this.#cycles.keepOpen(true)
    const frozen = await freeze(signal)
    frozen.keep({ [Symbol.asyncDispose]: async () => this.#cycles.keepOpen(false) })
    try {
      await this.#finish(frozen, signal)
      return frozen
    } catch (error) {
      await this.#cycles.putBack()
      await frozen.thaw()
      if (last || !isAppError(error, 'DRAIN_STUCK')) throw error
      await this.#comeDown(signal)
      return undefined
    }
  }

  async #finish(frozen: Frozen, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const thawed = new AbortController()
    const holding = this.#holdWhileMoving(frozen, over.signal, thawed)
    try {
      await this.#lastLook(true, AbortSignal.any([signal, thawed.signal]))
    } finally {
      over.abort()
      await holding
    }
    thawed.signal.throwIfAborted()
    if (!await frozen.hold()) throw new AppError('FREEZE_FAILED', 'the source thawed before all its changes were on the replica')
  }

  async #lastLook(frozen: boolean, signal: AbortSignal): Promise<void> {
    await this.#cycles.once({ thorough: true, frozen }, signal)
    await this.#cycles.scan({ thorough: true, frozen }, signal)
    for (let round = 0; ; round++) {
      await this.#cycles.once({ thorough: true, frozen }, signal)
      await this.#cycles.allDurable(signal)
      if (this.#cycles.isQuiet() || (!frozen && round >= MAX_QUIET_ROUNDS)) return
    }
  }

  /** Holds the freeze as long as anything moves; a drain that stands still for the hold time lets the source thaw. */
  async #holdWhileMoving(frozen: Frozen, over: AbortSignal, thawed: AbortController): Promise<void> {
    let before = -1
    let movedAtMs = this.#options.clock.now()
    try {
      for (;;) {
        await this.#options.clock.sleep(frozen.holdMs / HOLDS_PER_TIME, over)
        const moved = this.#cycles.moved()
        if (moved === before) {
          if (this.#options.clock.now() < movedAtMs + frozen.holdMs / STUCK_PART) continue
          thawed.abort(new AppError('DRAIN_STUCK', `nothing moved for ${String(Math.round(frozen.holdMs / STUCK_PART / 1000))} s while the source was frozen`))
          // what hangs in the kernel goes on only then, and the drain with it
          await frozen.thaw()
          return
        }
        before = moved
        movedAtMs = this.#options.clock.now()
        if (!await frozen.hold()) {
          thawed.abort(new AppError('FREEZE_FAILED', 'the source thawed before all its changes were on the replica'))
          return
        }
      }
    } catch (error) {
      if (!over.aborted) thawed.abort(isAppError(error) ? error : new AppError('FREEZE_FAILED', 'the freeze could not be held', { cause: error }))
    }
  }
}
