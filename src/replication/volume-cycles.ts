/**
 * What a replicator knows of one volume from cycle to cycle, and its part of a cycle: changes are looked at and sent, rescans are followed
 * by walks, and what could not be seen to goes back.
 */
import type { Change, Move } from '../capture/change-source.ts'
import type { Finding } from '../domain/finding.ts'
import { isInLimbo, LIMBO } from '../domain/limbo.ts'
import { ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import { OrphanWalk } from '../tree/orphan-walk.ts'
import { LinkGroups } from './link-groups.ts'
import { Looked } from './looked.ts'
import { certainMoves, Coverage, Moving } from './moving.ts'
import { OperationSender } from './operation-sender.ts'
import { keyOf } from './path-key.ts'
import { replicateChanges, type ReplicatedChanges } from './replicate-changes.ts'
import type { ComparePace, VolumeReplication } from './volume-replication.ts'
import { VolumeRescan, type VolumeRescanOptions } from './volume-rescan.ts'

export interface CycleOptions {
  /** see to what an ordinary cycle may put off: big files that change all the time, walks for names */
  thorough: boolean
  /** the source is frozen */
  frozen: boolean
}

export interface VolumeCyclesOptions extends VolumeRescanOptions {
  keepsDeleted: (() => boolean) | undefined
  /** as ReplicatorOptions.besideMirror */
  besideMirror: boolean
  /** these changes are on the way, with what was sent so far; so is what was begun because of them */
  sent: (changes: readonly Change[], begun: readonly Change[]) => void
  /** these are to be looked at again */
  putBack: (changes: readonly Change[]) => void
}

/** A big file is compared, and a volume walked for names, for at most this share of the time (one in so many). */
const SHARE = 5
/** Files whose comparisons are remembered; past it the memory starts afresh, which only costs attempts. */
const MAX_REMEMBERED = 50_000
/** Paths that the replica refused for ever; past it nothing is moved any more. */
const MAX_REFUSED = 1000

export class VolumeCycles {
  readonly #of: VolumeCyclesOptions
  readonly links = new LinkGroups()
  readonly rescan: VolumeRescan
  /** what was looked at since the last taking, and before it */
  #looked = doubted()
  #before = doubted()
  /** paths (keys) that the replica refused for ever */
  readonly #refused = new Set<string>()
  /** the limbo holds nothing that an earlier cycle left there */
  #isLimboClean = false
  #walkAtMs = 0
  /** when a big file may be compared again, by key */
  #compareAtMs = new Map<string, number>()

  constructor(of: VolumeCyclesOptions) {
    this.#of = of
    this.rescan = new VolumeRescan(of)
  }

  /** The changes have been taken: a cycle begins. */
  begin(): void {
    this.#before = this.#looked
    // of marks that were given up nothing is known, until all was looked at
    this.#looked = this.rescan.all.length > 0 ? doubted() : new Looked()
  }

  /** Nobody knows what of the cycle is on the replica. */
  doubt(): void {
    this.#looked.doubt()
  }

  /** The cycle was broken off: its changes come again. */
  breakOff(): void {
    this.links.forgetFresh()
    this.#looked.doubt()
  }

  /** Something of this volume is to be looked at again; `late`: it was in the cycle before this one. */
  returned(change: Extract<Change, { path: RelPath }>, late = false): void {
    (late ? this.#before : this.#looked).returned(change)
  }

  /** Nobody knows what the replica has there, from now on. */
  refuse(path: RelPath): void {
    this.#refused.add(this.#refused.size < MAX_REFUSED ? keyOf(path) : '')
  }

  /** Looks at the changes, which are of this volume, and sends what they lead to; rescans wait for `lookOver`. @throws {AppError} LINK_LOST */
  async once(changes: readonly Change[], moves: readonly Move[], options: CycleOptions, signal: AbortSignal): Promise<void> {
    for (const change of changes) {
      if (change.kind !== 'rescan') continue
      this.rescan.add(change)
      this.#looked.doubt()
    }
    await this.#replicate(changes.filter(({ kind }) => kind !== 'rescan'), moves, options, signal)
  }

  /** Goes on with the rescan that is under way: one chunk. @throws {AppError} LINK_LOST */
  async lookOver(options: CycleOptions, signal: AbortSignal): Promise<void> {
    // its looks were none that the capture knows of
    this.#looked.doubt()
    const found = await this.rescan.next()
    if (found === undefined) return
    await this.#replicate(found.changes, [], options, signal)
    if (found.over !== undefined) this.#of.sent([found.over], [])
  }

  async #replicate(taken: readonly Change[], moves: readonly Move[], options: CycleOptions, signal: AbortSignal): Promise<void> {
    const { volume, tree, stream, changes: source, clock, rules, keepsDeleted } = this.#of
    // one answer for all of it: what goes and what makes room for something new must fit together
    const keeps = keepsDeleted?.() === true
    const sender = new OperationSender(stream, volume, keeps)
    const changes = taken.filter(change => !('path' in change && isInLimbo(change.path)))
    const touched = new Set<string>()
    if (!this.#isLimboClean && changes.length > 0) {
      await sender.operation({ kind: 'remove', path: LIMBO }, signal)
      // a cycle that was broken off has made the limbo, or now it goes: the root's times are not the source's
      touched.add(keyOf(ROOT_PATH))
    }
    const certain = certainMoves(moves, { before: this.#before, rules, links: this.links, refused: this.#refused })
    this.#isLimboClean = certain.length === 0 && (this.#isLimboClean || changes.length > 0)
    const findings: Finding[] = []
    const of: VolumeReplication = {
      volume, tree, stream, changes: source, links: this.links, sender, touched, seen: new Set(),
      wanted: new Set(changes.flatMap(change => change.kind === 'object' ? [change.inode] : [])),
      looked: this.#looked, before: this.#before, moving: new Moving({ rules, sender, links: this.links }), coverage: new Coverage(), findings, unknown: [], again: [], begun: [],
      atMs: changes.reduce((oldest, { atMs }) => Math.min(oldest, atMs), clock.now()), frozen: options.frozen, keepsDeleted: keeps, mayWalk: options.thorough || clock.now() >= this.#walkAtMs, pace: this.#pace(options.thorough), besideMirror: this.#of.besideMirror,
      removal: new OrphanWalk({ volume, stream, rules, orphans: 'remove', send: async (operation, inner) => { await sender.deletion(operation, inner) } }),
    }
    const began = clock.now()
    let done: ReplicatedChanges
    try {
      done = await replicateChanges(of, changes, certain, signal)
      this.#isLimboClean ||= certain.length > 0
    } catch (error) {
      this.#of.putBack(of.begun)
      throw error
    } finally {
      // also when it ends half way
      this.#of.found(findings)
      for (const path of of.unknown) this.refuse(path)
      this.#of.putBack(of.again)
    }
    const { postponed, walked } = done
    if (walked) this.#walkAtMs = clock.now() + (clock.now() - began) * SHARE
    this.#of.putBack(postponed)
    const late = new Set(postponed)
    this.#of.sent(changes.filter(change => !late.has(change)), of.begun)
  }

  #pace(thorough: boolean): ComparePace {
    const { clock } = this.#of
    return {
      may: path => thorough || clock.now() >= (this.#compareAtMs.get(keyOf(path)) ?? 0),
      timed: async (path, compare) => {
        const began = clock.now()
        const done = await compare()
        if (this.#compareAtMs.size > MAX_REMEMBERED) this.#compareAtMs = new Map()
        this.#compareAtMs.set(keyOf(path), clock.now() + (clock.now() - began) * SHARE)
        return done
      },
    }
  }
}

function doubted(): Looked {
  const looked = new Looked()
  looked.doubt()
  return looked
}
