/**
 * Keeps on the source's disk how far a capture has come (kept-capture.ts): when the job protects, every half a minute while it goes on, and
 * at an orderly stop. It also watches the clock for it. It writes nothing while the source is frozen.
 */
import type { Change } from '../capture/change-source.ts'
import { ClockWatch } from '../capture/clock-watch.ts'
import type { Continued } from '../capture/continued-changes.ts'
import type { Logger } from '../logging/logger.ts'
import type { SafePoint } from '../replication/safe-point.ts'
import type { CaptureCount } from './capture-count.ts'
import { keptChange, MAX_KEPT_CHANGES, type CaptureFile, type ClockReading, type KeptCapture } from './kept-capture.ts'
import { continuation } from './continuation.ts'

export interface KeeperSeams {
  file: CaptureFile
  bootId: string
  readClock: () => ClockReading
  /** what tells the file system of a root from another one that is mounted there */
  identify: (path: string) => Promise<string>
  log: Logger
  everyMs?: number
}

/** How far it is. */
interface Progress { safe: SafePoint, count: CaptureCount }

/** What a kept capture is of. */
export type Captured = Pick<KeptCapture, 'jobId' | 'roots' | 'rules' | 'epoch' | 'identities'>

const EVERY_MS = 30_000
const CLOCK_MS = 1000
const NS_PER_MS = 1_000_000n

export class CaptureKeeper {
  readonly #seams: KeeperSeams
  #of: { captured: Captured, clock: ClockWatch } & Progress | undefined
  #writing: Promise<void> = Promise.resolve()
  #writtenMs: number | undefined
  /** the replica is complete: what is kept can be gone on with */
  #protecting = false
  #timers: NodeJS.Timeout[] = []
  #paused = false

  constructor(seams: KeeperSeams) {
    this.#seams = seams
  }

  /** What an agent before this one captured, if it can be gone on with. */
  async left(): Promise<KeptCapture | undefined> {
    return await this.#seams.file.read()
  }

  /** What tells the file systems of these roots from others. */
  async identities(paths: Iterable<string>): Promise<string[]> {
    const found: string[] = []
    for (const path of paths) found.push(await this.#seams.identify(path))
    return found
  }

  /**
   * How to go on with what an agent before this one kept for the same job, volumes and rules; undefined when there is no such thing, and
   * what there is is forgotten. An orderly stop is believed once.
   */
  async consume(wanted: Omit<Captured, 'epoch'>): Promise<Continued | undefined> {
    const { file, bootId, readClock, log } = this.#seams
    const kept = await file.read()
    const now = { bootId, clock: readClock(), identities: wanted.identities }
    const going = kept === undefined ? undefined : continuation(kept, wanted, now)
    if (kept === undefined || going === undefined) {
      await file.forget()
      return undefined
    }
    const { stopped, ...crashed } = kept
    const count = kept.count + 1
    // before anything of it is used; where the clock was set back, by the time that it shows now
    await file.write({ ...crashed, count, safeMs: going.safeMs, bootId, clock: now.clock, identities: [...wanted.identities] })
    log.info({ jobId: kept.jobId, orderly: stopped !== undefined, changes: stopped?.changes.length ?? 0, sinceMs: going.sinceMs }, 'the capture goes on with what the last agent left')
    return { epoch: kept.epoch, startedAtNs: BigInt(Math.floor(going.safeMs)) * NS_PER_MS, missed: going.missed, kept: count }
  }

  /** This capture runs. Nothing is written before the replica is complete, but for a capture that goes on with one whose replica was. */
  watch(captured: Captured, { safe, count }: Progress, goesOn: boolean): void {
    const { readClock } = this.#seams
    this.#of = { captured, safe, count, clock: new ClockWatch({ now: () => readClock().wallMs, monotonic: () => readClock().monotonicMs }) }
    this.#timers.push(setInterval(() => { this.#lookAtClock() }, CLOCK_MS).unref())
    if (goesOn) this.#keep()
  }

  /** The replica is complete: from now on what was captured is kept. Calling it again does nothing. */
  async protect(): Promise<void> {
    if (this.#protecting || this.#of === undefined) return
    this.#keep()
    await this.#write()
  }

  /** What is kept is replaced at once, if anything is. */
  async keepNow(): Promise<void> {
    if (this.#protecting) await this.#write()
  }

  /** The source is about to be frozen: nothing is being written when it resolves, nor later, until `resume`. */
  async pause(): Promise<void> {
    this.#paused = true
    await this.#writing
  }

  resume(): void {
    this.#paused = false
  }

  /** An orderly stop: `atMs` was before the changes were taken, which are all that is not durable. Ends the watching. */
  async stopped(atMs: number, changes: readonly Change[]): Promise<void> {
    const of = this.#of
    const protecting = this.#protecting
    await this.#end()
    if (of === undefined || !protecting) return
    // too many to keep each: as after a crash, which finds them by their change times
    const stopped = changes.length > MAX_KEPT_CHANGES ? {} : { stopped: { atMs, changes: changes.map(keptChange) } }
    await this.#seams.file.write({ ...this.#record(of), ...stopped })
  }

  /** The job has let the source go. */
  async forget(): Promise<void> {
    await this.#end()
    await this.#seams.file.forget()
  }

  #keep(): void {
    this.#protecting = true
    this.#timers.push(setInterval(() => { void this.#write() }, this.#seams.everyMs ?? EVERY_MS).unref())
  }

  #lookAtClock(): void {
    const jump = this.#of?.clock.check()
    if (jump === undefined) return
    this.#seams.log.warn({ kind: jump.kind, byMs: jump.byMs }, 'the clock of this machine was set')
    this.#of?.safe.clockWasSet(jump.kind, jump.beforeMs, jump.lowestMs)
  }

  async #end(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
    this.#of = undefined
    this.#writtenMs = undefined
    this.#protecting = false
    await this.#writing
    this.#paused = false
  }

  /** One at a time; never rejects: what is on the disk stays true, and is only less precise. */
  async #write(): Promise<void> {
    const of = this.#of
    if (of === undefined || this.#paused) return
    const before = this.#writing
    this.#writing = (async () => {
      await before
      this.#lookAtClock()
      const record = this.#record(of)
      if (this.#of !== of || this.#writtenMs === record.safeMs) return
      try {
        await this.#seams.file.write(record)
        of.count.written(record.count)
        this.#writtenMs = record.safeMs
      } catch (error) {
        this.#seams.log.warn({ err: error }, 'how far the capture has come could not be kept')
      }
    })()
    await this.#writing
  }

  #record({ captured, safe, count }: { captured: Captured } & Progress): KeptCapture {
    const { bootId, readClock } = this.#seams
    return { version: 1, ...captured, bootId, safeMs: safe.safeMs, clock: readClock(), count: count.next }
  }
}
