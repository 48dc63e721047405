/**
 * The cycles of one replicator: takes the changes, brings them to the replica volume by volume, remembers what is on the way, and looks
 * again at what the replica refused.
 */
import type { Change } from '../capture/change-source.ts'
import type { Finding } from '../domain/finding.ts'
import { MAX_DEGRADATIONS } from '../domain/degradation.ts'
import type { ReplicationProgress } from '../domain/progress.ts'
import { EVERYTHING } from '../tree/volume-rules.ts'
import { InFlight } from './in-flight.ts'
import { Refusals } from './refusals.ts'
import type { ReplicatorOptions } from './replicator-options.ts'
import { Rescans } from './rescans.ts'
import { changesSince } from './rescan.ts'
import { SafePoint } from './safe-point.ts'
import { VolumeCycles, type CycleOptions } from './volume-cycles.ts'

/**
 * How often a cycle begins while replication runs. What is changed twice meanwhile is looked at once: at 20 MB/s of mixed writes the agent takes
 * 24 % of a core at 200 ms, 17 % at 400 and 16 % at 600, and a change waits for half of it (npm run bench -- replicate --works steady).
 */
export const CYCLE_MS = 400
/**
 * And while the source is short of processor time: each look makes it write what is dirty to its disk, and what it writes again and again would be
 * written as often (npm run bench -- replicate --works slow-down, fio: +28 % at 400 ms, +6 % at 1000).
 */
export const SHORT_OF_TIME_CYCLE_MS = 1000
/** The replica is asked to flush when the oldest change on the way is older. */
const FLUSH_MS = 400
/** Parts of what is marked that may be on the way before another one is taken. */
const PARTS_ON_THE_WAY = 2

export class Cycles {
  readonly #options: ReplicatorOptions
  readonly #inFlight: InFlight
  readonly #safe: SafePoint
  readonly #volumes = new Map<number, VolumeCycles>()
  readonly #refusals = new Refusals()
  readonly #rescans: Rescans
  #findings: Finding[] = []
  /** up to this sequence the replica was asked to flush */
  #flushAsked = 0
  #steps = 0
  #isScanning = false
  /** something was refused since the last cycle began, and was not sent again yet: that all is applied says nothing of it */
  #isToSendAgain = false
  /** when the oldest of the changes that are looked at was made */
  #takenAtMs = Infinity

  constructor(options: ReplicatorOptions) {
    this.#options = options
    this.#inFlight = new InFlight(options.clock, options.changes.partSize * PARTS_ON_THE_WAY, options.latency)
    this.#safe = options.safe ?? new SafePoint(options.changes.startedAtNs, { now: () => options.clock.now() })
    this.#safe.holdSent()
    for (const [volume, tree] of options.volumes) {
      this.#volumes.set(volume, new VolumeCycles({
        volume, tree, rules: options.rules?.get(volume) ?? EVERYTHING, changes: options.changes, stream: options.stream, clock: options.clock, keepsDeleted: options.keepsDeleted, besideMirror: options.besideMirror === true,
        sent: (changes, begun) => { this.#onTheWay(changes, begun) },
        putBack: changes => { this.#putBack(changes) },
        found: findings => { this.#findings.push(...findings) },
      }))
    }
    this.#rescans = new Rescans(this.#volumes, options.clock)
  }

  /** One cycle over everything that is marked, and some of the rescans under way; a thorough one ends these. @throws {AppError} LINK_LOST */
  async once(options: CycleOptions, signal: AbortSignal): Promise<void> {
    await this.#cycle(true, options, signal)
    // what asks for a rescan meanwhile waits for the next one
    while (options.thorough && this.#rescans.isRunning) await this.#cycle(false, options, signal)
  }

  async #cycle(mayBegin: boolean, options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes, stream } = this.#options
    await this.#makeRoom(signal)
    if (!this.#isToSendAgain && stream.applied === stream.sent) this.#refusals.clear()
    this.#isToSendAgain = false
    this.#safe.durable(stream.durable)
    this.#safe.taking()
    try {
      // a cycle that was broken off left the rest of what it had begun to take: what was marked since comes behind it
      const takings = changes.hasMore() ? 2 : 1
      for (let taking = 0; taking < takings; taking++) {
        await this.#part(taking === 0, options, signal)
        while (changes.hasMore()) {
          await this.#betweenParts(signal)
          await this.#part(false, options, signal)
        }
      }
      await changes.looksEnded(signal)
      await this.#rescans.goOn(mayBegin, options, async () => { await this.#betweenParts(signal) }, signal)
    } catch (error) {
      this.#safe.hold()
      for (const of of this.#volumes.values()) of.breakOff()
      throw error
    }
    this.#safe.sent(stream.sent)
    for (const { sinceMs } of this.#rescans.all) this.#safe.hold(sinceMs)
    if ([...this.#volumes.values()].some(({ links }) => links.open().length > 0)) this.#safe.hold()
    this.#noteDurable()
    await this.#askForFlush(signal)
  }

  /** What was sent becomes durable while more is looked at, and does not pile up. */
  async #betweenParts(signal: AbortSignal): Promise<void> {
    await this.#askForFlush(signal)
    await this.#makeRoom(signal)
  }

  /** A replica flushes by itself when nothing comes for a moment, which under a steady load may be seldom. One flush is asked for at a time. */
  async #askForFlush(signal: AbortSignal): Promise<void> {
    const { clock, stream } = this.#options
    const oldestAtMs = this.#inFlight.oldestAtMs
    if (oldestAtMs === undefined || clock.now() - oldestAtMs < FLUSH_MS || stream.durable < this.#flushAsked) return
    this.#flushAsked = stream.sent
    await stream.requestFlush(signal)
  }

  /** Few enough changes are on the way, and what was refused of them is put back. */
  async #makeRoom(signal: AbortSignal): Promise<void> {
    this.#noteDurable()
    const full = this.#inFlight.waitFor
    if (full === undefined) return
    await this.#options.stream.whenDurable(full, signal)
    this.#noteDurable()
  }

  /** What is durable is not on the way any more; what was refused of it waits from then on, as old as it is. */
  #noteDurable(): void {
    this.#retryRefused()
    this.#inFlight.durable(this.#options.stream.durable)
  }

  /** Takes and looks at one part of what is marked. */
  async #part(first: boolean, options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes } = this.#options
    const taken = await changes.take(signal)
    this.#takenAtMs = taken.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Infinity)
    // what earlier parts led to may have put another object where one was that has moved
    const moves = first && !changes.hasMore() ? changes.moves() : []
    if (first) for (const of of this.#volumes.values()) of.begin()
    try {
      if (moves.length > 0) await this.#seeToRefused(signal)
      for (const [volume, of] of this.#volumes) {
        const ofVolume = taken.filter(change => change.volume === volume)
        if (ofVolume.length > 0 || options.thorough) await of.once(ofVolume, moves.filter(move => move.volume === volume), options, signal)
      }
    } catch (error) {
      // what was sent of them is sent again: repeating is harmless
      changes.putBack(taken)
      throw error
    } finally {
      this.#takenAtMs = Infinity
    }
  }

  /** Looks again at everything whose status changed since the last scan, or since the capture began. @throws {AppError} LINK_LOST */
  async scan(options: CycleOptions, signal: AbortSignal): Promise<void> {
    this.#isScanning = true
    try {
      await this.#scanAll(options, signal)
    } finally {
      this.#isScanning = false
    }
  }

  async #scanAll(options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes, clock, stream } = this.#options
    this.#safe.scanning()
    for (const [volume, of] of this.#volumes) {
      const sinceNs = this.#safe.scannedNs(volume)
      // a frozen volume is settled by being frozen
      const at = options.frozen ? sinceNs : await changes.settle(volume, signal)
      for await (const chunk of changesSince(changes, volume, sinceNs, { frozen: options.frozen, atMs: clock.now() }, signal)) {
        await of.once(chunk, [], { ...options, thorough: true }, signal)
        await this.#betweenParts(signal)
      }
      this.#safe.scanned(volume, at, stream.sent)
      // its looks were none that the capture knows of
      of.doubt()
    }
    this.#safe.scanOver()
  }

  /** A scan is due before its time. */
  get wantsScan(): boolean { return this.#safe.wantsScan }
  /** A rescan is under way or waits: a scan would only do a part of it. */
  get isRescanning(): boolean { return this.#rescans.all.length > 0 }

  /** Everything sent so far is durable when this resolves. @throws {AppError} LINK_LOST */
  async allDurable(signal: AbortSignal): Promise<void> {
    const { stream } = this.#options
    await stream.whenDurable(stream.sent, signal)
    this.#noteDurable()
    this.#safe.durable(stream.durable)
  }

  /** Nothing waits and nothing is on the way. */
  isQuiet(): boolean {
    return !this.isRescanning && this.#inFlight.count === 0 && this.#options.changes.pending().count === 0
  }

  /** Differs when anything has been sent, applied or looked at since. */
  moved(): number {
    const { stream } = this.#options
    return stream.bytesSent + stream.bytesSentPacked + stream.applied + stream.durable + this.#steps
  }

  /** Everything that is not durable, or still waits here, goes back to the change source. */
  async putBack(): Promise<void> {
    const { changes, clock } = this.#options
    // nobody else is told what was refused
    this.#retryRefused()
    this.#safe.holdSent()
    changes.putBack([...this.#inFlight.takeBack(), ...await this.#rescans.takeBack()])
    for (const [volume, of] of this.#volumes) {
      of.doubt()
      changes.putBack(of.links.unsettledNames().map(path => ({ kind: 'entry', volume, path, atMs: clock.now() })))
    }
  }

  /** Before the source is frozen: true. After the thaw: false. */
  async keepOpen(keep: boolean): Promise<void> {
    for (const tree of this.#options.volumes.values()) await tree.keepOpen(keep)
  }

  progress(): ReplicationProgress {
    const { changes, clock, stream } = this.#options
    const waiting = changes.pending()
    const { queueBytes, diskQueueBytes, degraded } = changes.status()
    const { all: rescans, degraded: rescanned } = this.#rescans
    const oldest = Math.min(waiting.oldestAtMs ?? Infinity, this.#inFlight.oldestAtMs ?? Infinity, this.#takenAtMs, ...rescans.map(({ atMs }) => atMs))
    return {
      queued: waiting.count + this.#inFlight.count + rescans.length,
      changesApplied: this.#inFlight.applied,
      bytesSent: stream.bytesSent,
      bytesSentCompressed: stream.bytesSentPacked,
      recoveryPointLatencyMs: oldest === Infinity ? 0 : Math.max(0, clock.now() - oldest),
      latencyMsP50: this.#inFlight.latencyMsP50,
      latencyMsP99: this.#inFlight.latencyMsP99,
      latencyMsMax: this.#inFlight.latencyMsMax,
      queueBytes, diskQueueBytes,
      degraded: [...new Map([...degraded, ...this.#safe.degraded, ...rescanned, ...this.#inFlight.degraded].map(one => [`${one.kind}/${String(one.volume)}/${one.subject ?? ''}`, one])).values()].slice(0, MAX_DEGRADATIONS),
    }
  }

  /** Findings since the last call. */
  takeFindings(): Finding[] {
    const findings = this.#findings
    this.#findings = []
    return findings
  }

  #state(volume: number): VolumeCycles {
    const state = this.#volumes.get(volume)
    if (state === undefined) throw new RangeError(`volume ${String(volume)} is not replicated`)
    return state
  }

  #onTheWay(changes: readonly Change[], begun: readonly Change[]): void {
    // what a walk finds was sent before, for the most part
    this.#inFlight.add(changes, this.#options.stream.sent, { isTimed: !this.#isScanning, begun })
    void this.#inFlight.time(this.#options.stream)
    this.#steps++
    this.#options.moved?.()
  }

  #putBack(changes: readonly Change[]): void {
    for (const change of changes) if ('path' in change) this.#state(change.volume).returned(change)
    this.#options.changes.putBack(changes)
    if (changes.length > 0) this.#safe.hold(changes.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Infinity))
  }

  /** What the replica refused is sent whole, and where that is refused too, what is above it: the replica lacks what it builds on. */
  #retryRefused(): Change[] {
    const failures = this.#options.stream.takeFailures()
    if (failures.length > 0) this.#isToSendAgain = true
    const atMs = this.#inFlight.oldestAtMs ?? this.#options.clock.now()
    const { again, forever, findings } = this.#refusals.see(failures)
    this.#findings.push(...findings)
    for (const { volume, path } of forever) this.#state(volume).refuse(path)
    if (again.length > 0) this.#safe.hold()
    const back = again.map(({ volume, path, from, isLink, attributesOnly }): Change => {
      if (isLink) this.#state(volume).links.distrust(from)
      return { kind: path.length === 0 || attributesOnly ? 'metadata' : 'entry', volume, path, atMs }
    })
    this.#putBack(back)
    return back
  }

  /** What was refused so far is known, and comes back. */
  async #seeToRefused(signal: AbortSignal): Promise<void> {
    const { stream } = this.#options
    await stream.whenApplied(stream.sent, signal)
    const back = this.#retryRefused()
    for (const change of back) if ('path' in change) this.#state(change.volume).returned(change, true)
  }
}
