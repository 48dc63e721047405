/**
 * The rescans of one volume, looked at chunk by chunk between the ordinary cycles, so that what changes meanwhile is brought over and its
 * marks do not pile up. One rescan is under way at a time. What asks for another one meanwhile is joined and waits: the one under way has
 * passed some places before. In an ordinary cycle the next one begins only when as much time has gone by without one as the last one took.
 *
 * What a rescan hands over to be looked at is not handed over again by its second walk, for change times: whatever it looks at is looked at
 * after the rescan began, and what changes after that is marked, or asks for the next rescan. Objects with several names are.
 */
import { degradationsOf } from '../capture/change-set.ts'
import type { Change, ChangeSource } from '../capture/change-source.ts'
import type { Clock } from '../clock/clock.ts'
import type { Degradation } from '../domain/degradation.ts'
import type { Finding } from '../domain/finding.ts'
import { parentOf } from '../domain/rel-path.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { keyOf } from './path-key.ts'
import { changesSince, differences } from './rescan.ts'

export type Rescan = Extract<Change, { kind: 'rescan' }>

export interface VolumeRescanOptions {
  volume: number
  tree: SourceTree
  rules: VolumeRules
  changes: ChangeSource
  stream: OperationStream
  clock: Clock
  found: (findings: readonly Finding[]) => void
}

/** Objects and names that are remembered as handed over; past it they are handed over twice. */
const MAX_HANDED_OVER = 100_000
/** Change times may be so much older than the mark that was lost: a clock that ticks, and was slewed. */
const MARGIN_NS = 1_000_000_000n

export class VolumeRescan {
  readonly #of: VolumeRescanOptions
  #waiting: Rescan | undefined
  #running: { rescan: Rescan, beganMs: number, chunks: AsyncGenerator<readonly Change[], void, void> } | undefined
  /** before this time no other one begins in an ordinary cycle */
  #restUntilMs = 0

  constructor(of: VolumeRescanOptions) {
    this.#of = of
  }

  add(rescan: Rescan): void {
    const before = this.#waiting
    this.#waiting = before === undefined ? rescan : {
      ...rescan, sinceMs: Math.min(before.sinceMs, rescan.sinceMs), atMs: Math.min(before.atMs, rescan.atMs), why: [...new Set([...before.why, ...rescan.why])],
    }
  }

  get isRunning(): boolean { return this.#running !== undefined }

  /** Those under way and waiting. */
  get all(): readonly Rescan[] { return [this.#running?.rescan, this.#waiting].filter(one => one !== undefined) }

  get degraded(): readonly Degradation[] { return this.all.flatMap(degradationsOf) }

  /** Begins the one that waits, unless one is under way, or it is to rest. Its walks heed this signal to their end. */
  begin({ thorough, frozen }: { thorough: boolean, frozen: boolean }, signal: AbortSignal): void {
    const rescan = this.#waiting
    const beganMs = this.#of.clock.now()
    if (rescan === undefined || this.#running !== undefined || (!thorough && beganMs < this.#restUntilMs)) return
    this.#waiting = undefined
    this.#running = { rescan, beganMs, chunks: this.#walk(rescan, frozen, signal) }
  }

  /** What is to be looked at next, perhaps nothing; the rescan itself when all of it was handed over. Undefined when none is under way. */
  async next(): Promise<{ changes: readonly Change[], over?: Rescan } | undefined> {
    const running = this.#running
    if (running === undefined) return undefined
    const { done, value } = await running.chunks.next()
    if (done !== true) return { changes: value }
    this.#running = undefined
    const now = this.#of.clock.now()
    this.#restUntilMs = now + (now - running.beganMs)
    return { changes: [], over: running.rescan }
  }

  /** Gives up what is under way, and answers all that is still to be done. */
  async takeBack(): Promise<readonly Change[]> {
    const { all } = this
    const running = this.#running
    this.#running = undefined
    this.#waiting = undefined
    // its walks close what they have open
    await running?.chunks.return()
    return all
  }

  async* #walk({ volume, sinceMs, atMs }: Rescan, frozen: boolean, signal: AbortSignal): AsyncGenerator<readonly Change[], void, void> {
    const { tree, stream, rules, changes, found } = this.#of
    const sinceNs = BigInt(Math.floor(sinceMs)) * 1_000_000n - MARGIN_NS
    const handedOver = new HandedOver()
    for await (const chunk of differences({ volume, tree, stream, rules, atMs, sinceNs, found }, signal)) {
      for (const change of chunk) handedOver.add(change)
      yield chunk
    }
    for await (const chunk of changesSince(changes, volume, sinceNs, { frozen, atMs }, signal)) yield chunk.filter(change => !handedOver.has(change))
  }
}

class HandedOver {
  readonly #inodes = new Set<bigint>()
  /** entries: with all that is below them */
  readonly #entries = new Set<string>()

  add(change: Change): void {
    if (this.#inodes.size + this.#entries.size >= MAX_HANDED_OVER) return
    if (change.kind === 'entry') this.#entries.add(keyOf(change.path))
    else if ((change.kind === 'data' || change.kind === 'metadata') && change.object !== undefined) this.#inodes.add(change.object.inode)
  }

  has(change: Change): boolean {
    if ((change.kind !== 'data' && change.kind !== 'metadata') || change.object === undefined || change.object.linkCount > 1) return false
    if (this.#inodes.has(change.object.inode)) return true
    for (let at = change.path; at.length > 0; at = parentOf(at)) if (this.#entries.has(keyOf(at))) return true
    return false
  }
}
