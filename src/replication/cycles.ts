/**
 * The cycles of one replicator: takes the changes, brings them to the replica volume by volume, remembers what is on the way, and looks
 * again at what the replica refused.
 */
import { degradationsOf } from '../capture/change-set.ts'
import type { Change, ChangeSource, Move } from '../capture/change-source.ts'
import type { Clock } from '../clock/clock.ts'
import { isInLimbo, LIMBO } from '../domain/limbo.ts'
import { ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { Finding } from '../domain/finding.ts'
import { MAX_DEGRADATIONS, type Degradation } from '../domain/degradation.ts'
import type { ReplicationProgress } from '../domain/progress.ts'
import { OrphanWalk } from '../tree/orphan-walk.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import { EVERYTHING, type VolumeRules } from '../tree/volume-rules.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { InFlight } from './in-flight.ts'
import { LinkGroups } from './link-groups.ts'
import { OperationSender } from './operation-sender.ts'
import { Looked } from './looked.ts'
import { certainMoves, Coverage, Moving } from './moving.ts'
import { keyOf } from './path-key.ts'
import { Refusals } from './refusals.ts'
import { replicateChanges, type ReplicatedChanges } from './replicate-changes.ts'
import { changesSince, differences } from './rescan.ts'
import { SafePoint } from './safe-point.ts'
import type { ComparePace, VolumeReplication } from './volume-replication.ts'

export interface ReplicatorOptions {
  /** by the index on the wire */
  volumes: ReadonlyMap<number, SourceTree>
  /** the rules of each volume, as its tree and the changes obey them; left out: everything belongs to the replica */
  rules?: ReadonlyMap<number, VolumeRules>
  /** began before the mirror's first read */
  changes: ChangeSource
  stream: OperationStream
  report: (progress: ReplicationProgress, findings: readonly Finding[]) => void
  clock: Clock
  /** up to when everything is durable on the replica, kept by whoever outlives the connection; left out: nobody asks */
  safe?: SafePoint
  /** called within long cycles, too */
  moved?: () => void
  /** whether names that vanish are left on the replica; asked again for each of them */
  keepsDeleted?: (() => boolean) | undefined
}

export interface CycleOptions {
  /** see to what an ordinary cycle may put off: big files that change all the time, walks for names */
  thorough: boolean
  /** the source is frozen */
  frozen: boolean
}

/** A big file is compared, and a volume walked for names, for at most this share of the time (one in so many). */
const SHARE = 5
/** Paths whose refusals or comparisons are remembered; past it the memory starts afresh, which only costs attempts. */
const MAX_REMEMBERED = 50_000

/** Paths that the replica refused for ever; past it nothing is moved any more. */
const MAX_REFUSED = 1000

interface VolumeState {
  links: LinkGroups
  walkAtMs: number
  /** what was looked at since the last taking, and before it */
  looked: Looked
  before: Looked
  /** paths (keys) that the replica refused for ever */
  refused: Set<string>
  /** the limbo holds nothing that an earlier cycle left there */
  isLimboClean: boolean
}

export class Cycles {
  readonly #options: ReplicatorOptions
  readonly #inFlight: InFlight
  readonly #safe: SafePoint
  readonly #volumes = new Map<number, VolumeState>()
  /** when a big file may be compared again */
  #compareAtMs = new Map<string, number>()
  readonly #refusals = new Refusals()
  #findings: Finding[] = []
  #steps = 0
  /** what the rescans under way are shown as */
  #rescanned: readonly Degradation[] = []
  /** when the oldest of the changes that are looked at was made */
  #takenAtMs = Infinity

  constructor(options: ReplicatorOptions) {
    this.#options = options
    this.#inFlight = new InFlight(options.clock)
    this.#safe = options.safe ?? new SafePoint(options.changes.startedAtNs, options.clock)
    this.#safe.holdSent()
    for (const volume of options.volumes.keys()) {
      this.#volumes.set(volume, {
        links: new LinkGroups(), walkAtMs: 0, looked: doubted(), before: doubted(), refused: new Set(), isLimboClean: false,
      })
    }
  }

  /** One cycle over everything that is marked. @throws {AppError} LINK_LOST */
  async once(options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes, stream } = this.#options
    this.#inFlight.durable(stream.durable)
    const full = this.#inFlight.waitFor
    if (full !== undefined) await stream.whenDurable(full, signal)
    this.#retryRefused()
    this.#safe.durable(stream.durable)
    this.#safe.taking()
    const taken = await this.#take(signal)
    this.#takenAtMs = taken.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Infinity)
    this.#rescanned = taken.flatMap(change => change.kind === 'rescan' ? degradationsOf(change) : [])
    const moves = changes.moves()
    for (const state of this.#volumes.values()) {
      state.before = state.looked
      state.looked = new Looked()
    }
    try {
      if (moves.length > 0) await this.#seeToRefused(signal)
      for (const [volume, tree] of this.#options.volumes) {
        const ofVolume = taken.filter(change => change.volume === volume)
        if (ofVolume.length > 0 || options.thorough) await this.#volume(volume, tree, ofVolume, moves.filter(move => move.volume === volume), options, signal)
      }
      await changes.looksEnded(signal)
    } catch (error) {
      // what was sent of them is sent again: repeating is harmless
      changes.putBack(taken)
      this.#safe.hold()
      for (const { links, looked } of this.#volumes.values()) {
        links.forgetFresh()
        looked.doubt()
      }
      throw error
    } finally {
      this.#rescanned = []
      this.#takenAtMs = Infinity
    }
    this.#safe.sent(stream.sent)
    if ([...this.#volumes.values()].some(({ links }) => links.open().length > 0)) this.#safe.hold()
    this.#inFlight.durable(stream.durable)
  }

  /** Looks again at everything whose status changed since the last scan, or since the capture began. @throws {AppError} LINK_LOST */
  async scan(options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes, clock, stream } = this.#options
    this.#safe.scanning()
    for (const [volume, tree] of this.#options.volumes) {
      const sinceNs = this.#safe.scannedNs(volume)
      // a frozen volume is settled by being frozen
      const at = options.frozen ? sinceNs : await changes.settle(volume, signal)
      for await (const chunk of changesSince(changes, volume, sinceNs, { frozen: options.frozen, atMs: clock.now() }, signal)) {
        await this.#volume(volume, tree, chunk, [], { ...options, thorough: true }, signal)
      }
      this.#safe.scanned(volume, at, stream.sent)
      // its looks were none that the capture knows of
      this.#state(volume).looked.doubt()
    }
    this.#safe.scanOver()
  }

  /** A scan is due before its time. */
  get wantsScan(): boolean { return this.#safe.wantsScan }

  /** Everything sent so far is durable when this resolves. @throws {AppError} LINK_LOST */
  async allDurable(signal: AbortSignal): Promise<void> {
    const { stream } = this.#options
    await stream.whenDurable(stream.sent, signal)
    this.#inFlight.durable(stream.durable)
    this.#retryRefused()
    this.#safe.durable(stream.durable)
  }

  /** Nothing waits and nothing is on the way. */
  isQuiet(): boolean {
    return this.#inFlight.count === 0 && this.#options.changes.pending().count === 0
  }

  /** A number that differs when anything has been sent, applied or looked at since. */
  moved(): number {
    const { stream } = this.#options
    return stream.bytesSent + stream.bytesSentPacked + stream.applied + stream.durable + this.#steps
  }

  /** Everything that is not durable, or still waits here, goes back to the change source. */
  putBack(): void {
    const { changes, clock } = this.#options
    this.#safe.holdSent()
    changes.putBack(this.#inFlight.takeBack())
    for (const [volume, { links, looked }] of this.#volumes) {
      looked.doubt()
      changes.putBack(links.unsettledNames().map(path => ({ kind: 'entry', volume, path, atMs: clock.now() })))
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
    const oldest = Math.min(waiting.oldestAtMs ?? Infinity, this.#inFlight.oldestAtMs ?? Infinity, this.#takenAtMs)
    return {
      queued: waiting.count + this.#inFlight.count,
      changesApplied: this.#inFlight.applied,
      bytesSent: stream.bytesSent,
      bytesSentCompressed: stream.bytesSentPacked,
      recoveryPointLatencyMs: oldest === Infinity ? 0 : Math.max(0, clock.now() - oldest),
      latencyMsP50: this.#inFlight.latencyMsP50,
      latencyMsP99: this.#inFlight.latencyMsP99,
      latencyMsMax: this.#inFlight.latencyMsMax,
      queueBytes, diskQueueBytes,
      degraded: [...new Map([...degraded, ...this.#safe.degraded, ...this.#rescanned, ...this.#inFlight.degraded].map(one => [`${one.kind}/${String(one.volume)}/${one.subject ?? ''}`, one])).values()].slice(0, MAX_DEGRADATIONS),
    }
  }

  /** Findings since the last call. */
  takeFindings(): Finding[] {
    const findings = this.#findings
    this.#findings = []
    return findings
  }

  #rules(volume: number): VolumeRules {
    return this.#options.rules?.get(volume) ?? EVERYTHING
  }

  #state(volume: number): VolumeState {
    const state = this.#volumes.get(volume)
    if (state === undefined) throw new RangeError(`volume ${String(volume)} is not replicated`)
    return state
  }

  async #volume(volume: number, tree: SourceTree, changes: readonly Change[], moves: readonly Move[], options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { stream } = this.#options
    await this.#replicate(volume, tree, changes.filter(({ kind }) => kind !== 'rescan'), moves, options, signal)
    for (const change of changes) {
      if (change.kind !== 'rescan') continue
      this.#state(volume).looked.doubt()
      const sinceNs = BigInt(Math.floor(change.sinceMs)) * 1_000_000n - 1_000_000_000n
      await stream.whenApplied(stream.sent, signal)
      for await (const chunk of differences({ volume, tree, stream, rules: this.#rules(volume), atMs: change.atMs, sinceNs }, signal)) await this.#replicate(volume, tree, chunk, [], options, signal)
      for await (const chunk of changesSince(this.#options.changes, volume, sinceNs, { frozen: options.frozen, atMs: change.atMs }, signal)) {
        await this.#replicate(volume, tree, chunk, [], options, signal)
      }
      this.#inFlight.add([change], stream.sent)
    }
  }

  async #replicate(volume: number, tree: SourceTree, taken: readonly Change[], moves: readonly Move[], options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { changes: source, clock, stream } = this.#options
    const state = this.#state(volume)
    const sender = new OperationSender(stream, volume, this.#options.keepsDeleted)
    const rules = this.#rules(volume)
    const changes = taken.filter(change => !('path' in change && isInLimbo(change.path)))
    const touched = new Set<string>()
    if (!state.isLimboClean && changes.length > 0) {
      await sender.operation({ kind: 'remove', path: LIMBO }, signal)
      // a cycle that was broken off has made the limbo, or now it goes: the root's times are not the source's
      touched.add(keyOf(ROOT_PATH))
    }
    // where deleted things stay, the limbo would take what left the replicated set with it
    const certain = this.#options.keepsDeleted?.() === true ? [] : certainMoves(moves, { ...state, rules })
    state.isLimboClean = certain.length === 0 && (state.isLimboClean || changes.length > 0)
    const of: VolumeReplication = {
      volume, tree, stream, changes: source, links: state.links, sender, touched, seen: new Set(),
      wanted: new Set(changes.flatMap(change => change.kind === 'object' ? [change.inode] : [])),
      looked: state.looked, before: state.before, moving: new Moving({ rules, sender, links: state.links }), coverage: new Coverage(), findings: this.#findings, again: [], atMs: changes.reduce((oldest, { atMs }) => Math.min(oldest, atMs), clock.now()), frozen: options.frozen, mayWalk: options.thorough || clock.now() >= state.walkAtMs, pace: this.#pace(volume, options.thorough),
      removal: new OrphanWalk({ volume, stream, rules, orphans: 'remove', send: async (operation, inner) => { await sender.deletion(operation, inner) } }),
    }
    const began = clock.now()
    let done: ReplicatedChanges
    try {
      done = await replicateChanges(of, changes, certain, signal)
      state.isLimboClean ||= certain.length > 0
    } finally {
      // also when it ends half way
      this.#putBack(of.again)
    }
    const { postponed, walked } = done
    if (walked) state.walkAtMs = clock.now() + (clock.now() - began) * SHARE
    this.#putBack(postponed)
    const late = new Set(postponed)
    this.#inFlight.add(changes.filter(change => !late.has(change)), stream.sent)
    this.#steps++
    this.#options.moved?.()
  }

  async #take(signal: AbortSignal): Promise<readonly Change[]> {
    try {
      return await this.#options.changes.take(signal)
    } catch (error) {
      this.#safe.hold()
      throw error
    }
  }

  #putBack(changes: readonly Change[]): void {
    for (const change of changes) if ('path' in change) this.#state(change.volume).looked.returned(change)
    this.#options.changes.putBack(changes)
    if (changes.length > 0) this.#safe.hold(changes.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Infinity))
  }

  #pace(volume: number, thorough: boolean): ComparePace {
    const { clock } = this.#options
    return {
      may: path => thorough || clock.now() >= (this.#compareAtMs.get(nameOfChange(volume, path)) ?? 0),
      timed: async (path, compare) => {
        const began = clock.now()
        const done = await compare()
        this.#remember(this.#compareAtMs)
        this.#compareAtMs.set(nameOfChange(volume, path), clock.now() + (clock.now() - began) * SHARE)
        return done
      },
    }
  }

  /** What the replica refused is sent whole, and where that is refused too, what is above it: the replica lacks what it builds on. */
  #retryRefused(): Change[] {
    const { stream } = this.#options
    const failures = stream.takeFailures()
    if (failures.length === 0 && stream.applied === stream.sent) this.#refusals.clear()
    const atMs = this.#inFlight.oldestAtMs ?? this.#options.clock.now()
    const { again, forever, findings } = this.#refusals.see(failures)
    this.#findings.push(...findings)
    for (const { volume, path } of forever) this.#refuse(volume, path)
    if (again.length > 0) this.#safe.hold()
    const back = again.map(({ volume, path, from, isLink, attributesOnly }): Change => {
      if (isLink) this.#state(volume).links.distrust(from)
      return { kind: path.length === 0 || attributesOnly ? 'metadata' : 'entry', volume, path, atMs }
    })
    this.#putBack(back)
    return back
  }

  /** Nobody knows what the replica has there, from now on. */
  #refuse(volume: number, path: RelPath): void {
    const { refused } = this.#state(volume)
    refused.add(refused.size < MAX_REFUSED ? keyOf(path) : '')
  }

  /** What was refused so far is known, and is among what comes back. */
  async #seeToRefused(signal: AbortSignal): Promise<void> {
    const { stream } = this.#options
    await stream.whenApplied(stream.sent, signal)
    const back = this.#retryRefused()
    for (const change of back) if ('path' in change) this.#state(change.volume).before.returned(change)
  }

  #remember(memory: Map<string, number>): void {
    if (memory.size > MAX_REMEMBERED) memory.clear()
  }
}

function doubted(): Looked {
  const looked = new Looked()
  looked.doubt()
  return looked
}

function nameOfChange(volume: number, path: RelPath): string {
  return `${String(volume)}/${keyOf(path)}`
}
