/**
 * The changes of a source that is being mirrored, as far as replication may bring them over meanwhile: those of names that the mirror has
 * passed (tree/mirror-front.ts has the argument). What it has not passed waits here, joined, until it has, or until the mirror is over: then
 * all that is here goes back to the source of the changes. So does what would be too much to keep, or when everything is to be looked at
 * again: then replication begins when the mirror is over.
 */
import { ChangeSet } from '../capture/change-set.ts'
import type { CaptureStatus, Change, ChangedObject, ChangeSource, Move } from '../capture/change-source.ts'
import { joinChanges, type PathChange } from '../capture/joined-change.ts'
import type { Clock } from '../clock/clock.ts'
import type { RelPath } from '../domain/rel-path.ts'
import type { MirrorFront } from '../tree/mirror-front.ts'

/** About 60 MiB. */
const MAX_WAITING = 200_000
/** All that waits is asked for anew for at most this share of the time (one in so many). */
const SHARE = 20

export class ChangesBesideMirror implements ChangeSource {
  readonly #changes: ChangeSource
  readonly #front: MirrorFront
  readonly #clock: Clock
  readonly #maxWaiting: number
  /** of names that the mirror has not passed */
  readonly #waiting = new Map<string, PathChange>()
  /** what can be looked at only when the mirror is over */
  readonly #late = new ChangeSet(Infinity)
  /** what was put off by a cycle, for the next one */
  #next: Change[] = []
  #endedSeen = 0
  #askAtMs = 0
  #isOver = false

  constructor(changes: ChangeSource, front: MirrorFront, clock: Clock, maxWaiting = MAX_WAITING) {
    this.#changes = changes
    this.#front = front
    this.#clock = clock
    this.#maxWaiting = maxWaiting
  }

  get epoch(): string { return this.#changes.epoch }
  get startedAtNs(): bigint { return this.#changes.startedAtNs }
  get partSize(): number { return this.#changes.partSize }
  /** Everything has gone back: nothing more comes from here. */
  get isOver(): boolean { return this.#isOver }

  /** What may be brought over now. */
  async take(signal: AbortSignal): Promise<readonly Change[]> {
    if (this.#isOver) return []
    const taken = await this.#changes.take(signal)
    const ready = this.#next
    this.#next = []
    for (const { volume, path } of this.#front.takeAgain()) this.#wait({ kind: 'entry', volume, path, atMs: this.#clock.now() })
    if (taken.some(({ kind }) => kind === 'rescan')) {
      this.#giveBack([...taken, ...ready])
      return []
    }
    for (const change of taken) {
      if (!('path' in change)) this.#late.add(change)
      else if (this.#waiting.has(keyOf(change)) || !this.#front.hasPassed(change.volume, change.path)) this.#wait(change)
      else ready.push(change)
    }
    this.#askForPassed(ready)
    if (this.#waiting.size + this.#late.pending().count > this.#maxWaiting) {
      this.#giveBack(ready)
      return []
    }
    for (const change of ready) if (change.kind === 'entry') this.#front.replaced(change.volume, change.path)
    return ready
  }

  hasMore(): boolean { return !this.#isOver && this.#changes.hasMore() }

  /** Where something was is not certain while the mirror is under way. */
  moves(): readonly Move[] { return [] }
  async peek(signal: AbortSignal): Promise<readonly Change[]> { return await this.#changes.peek(signal) }
  async looksEnded(signal: AbortSignal): Promise<void> { await this.#changes.looksEnded(signal) }

  /** Data that was put off is for the next cycle. All else was refused, or belongs to an object with several names: it is late. */
  putBack(changes: readonly Change[]): void {
    if (this.#isOver) {
      this.#changes.putBack(changes)
      return
    }
    for (const change of changes) {
      if (change.kind === 'data') this.#next.push(change)
      else this.#late.add(change)
    }
  }

  /** The mirror is over, or broken off: all goes back. */
  end(): void {
    for (const { volume, path } of this.#front.takeAgain()) this.#wait({ kind: 'entry', volume, path, atMs: this.#clock.now() })
    this.#giveBack(this.#next)
    this.#next = []
  }

  status(): CaptureStatus { return this.#changes.status() }

  /** The oldest of those that replication is behind with: what waits for the mirror is not counted. */
  pending(): { count: number, oldestAtMs: number | undefined } {
    const { count, oldestAtMs = Infinity } = this.#changes.pending()
    const oldest = this.#next.reduce((before, { atMs }) => Math.min(before, atMs), oldestAtMs)
    return { count: count + this.#next.length + this.#waiting.size + this.#late.pending().count, oldestAtMs: oldest === Infinity ? undefined : oldest }
  }

  async settle(volume: number, signal: AbortSignal): Promise<bigint> { return await this.#changes.settle(volume, signal) }

  changedSince(volume: number, sinceNs: bigint, options: { frozen: boolean }, signal: AbortSignal): AsyncIterable<readonly ChangedObject[]> {
    return this.#changes.changedSince(volume, sinceNs, options, signal)
  }

  async namesOf(volume: number, inodes: readonly bigint[], options: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>> {
    return await this.#changes.namesOf(volume, inodes, options, signal)
  }

  /** The source of the changes stays its owner's. */
  [Symbol.asyncDispose](): Promise<void> { return Promise.resolve() }

  #wait(change: PathChange): void {
    const before = this.#waiting.get(keyOf(change))
    if (before === undefined) {
      this.#waiting.set(keyOf(change), change)
      return
    }
    const { joined, forgotten } = joinChanges(before, change)
    this.#waiting.set(keyOf(change), joined)
    if (forgotten !== undefined && forgotten.linkCount > 1) this.#late.add({ kind: 'object', volume: change.volume, inode: forgotten.inode, atMs: forgotten.atMs })
  }

  /** Adds what the mirror has passed meanwhile. */
  #askForPassed(ready: Change[]): void {
    const began = this.#clock.now()
    const { ended } = this.#front
    if (this.#waiting.size === 0 || ended === this.#endedSeen || began < this.#askAtMs) return
    this.#endedSeen = ended
    for (const [key, change] of this.#waiting) {
      if (!this.#front.hasPassed(change.volume, change.path)) continue
      this.#waiting.delete(key)
      ready.push(change)
    }
    const now = this.#clock.now()
    this.#askAtMs = now + (now - began) * SHARE
  }

  #giveBack(more: readonly Change[]): void {
    this.#isOver = true
    this.#changes.putBack([...more, ...this.#waiting.values(), ...this.#late.take()])
    this.#waiting.clear()
  }
}

function keyOf({ volume, path }: PathChange): string {
  return `${String(volume)}/${path.toString('latin1')}`
}
