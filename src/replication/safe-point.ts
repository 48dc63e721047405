/**
 * The moment up to which everything that the source changed is durable on the replica: what is to be compared again after a crash is what
 * has a change time (ctime) at or after it. It outlives connections, as the capture does.
 *
 * Why nothing older can be missing. The kernel sets ctime when it makes a change, before the event of it is read. A change that the n-th
 * taking of marks gave was made after the taking before it began (else that one had given it), so that the batch of the n-th taking is
 * counted from there on, until all it led to is durable. What was put back, refused or postponed holds the moment where it is, or where the
 * mark says it was made, less the longest time between two takings: so long a mark may have waited to be read. What events do not tell (mmap, chattr, libaio) is found by walks over change times, and the moment never passes the last of
 * these; each begins with a sync of the file system, so that what the source had not written to its own disk at a power loss is not older
 * either. A clock that is set back during the cycle shows as less time gone by than by a clock that cannot be set.
 */
import { performance } from 'node:perf_hooks'
import type { Degradation } from '../domain/degradation.ts'

const NS_PER_MS = 1_000_000n

interface Sent { sinceMs: number, sequence: number }

export interface SafePointParts {
  /** wall clock, ms */
  now: () => number
  /** a clock that only goes forward, ms */
  monotonic?: () => number
}

export class SafePoint {
  readonly #now: () => number
  readonly #monotonic: () => number
  /** as #scanned, of a volume that no walk has passed yet */
  #startedAtNs: bigint
  /** per volume: what is older was found by a walk, or changed before the capture began (ns) */
  readonly #scanned = new Map<number, bigint>()
  /** when the last taking began, by both clocks */
  #tookMs: number
  #tookMonotonicMs: number
  #longestGapMs = 0
  /** what waits to be taken again is not older than this */
  #heldMs: number
  /** the changes taken last are not older than this */
  #batchMs: number
  #sent: Sent[] = []
  #jumps: { jump: Degradation, scanning: boolean }[] = []
  #safeMs: number

  /** @param startedAtNs what changed before is on the replica, or will be by a mirror that has not begun */
  constructor(startedAtNs: bigint, { now, monotonic = () => performance.now() }: SafePointParts) {
    this.#now = now
    this.#monotonic = monotonic
    this.#startedAtNs = startedAtNs
    const startedMs = Number(startedAtNs / NS_PER_MS)
    this.#tookMs = now()
    this.#tookMonotonicMs = monotonic()
    // the first taking may give what was marked long before
    this.#heldMs = startedMs
    this.#batchMs = startedMs
    this.#safeMs = startedMs
  }

  /** ms since the epoch */
  get safeMs(): number {
    const scanned = [...this.#scanned.values(), ...this.#scanned.size === 0 ? [this.#startedAtNs] : []]
    return Math.min(this.#safeMs, ...scanned.map(ns => Number(ns / NS_PER_MS)))
  }

  /** Objects of the volume that changed before this were looked at (ns). */
  scannedNs(volume: number): bigint {
    const known = this.#scanned.get(volume) ?? this.#startedAtNs
    this.#scanned.set(volume, known)
    return known
  }

  /** A walk over the volume is over; what it led to was sent up to this sequence. */
  scanned(volume: number, upToNs: bigint, sequence: number): void {
    const sinceMs = Number(this.scannedNs(volume) / NS_PER_MS)
    this.#sent.push({ sinceMs, sequence })
    this.#safeMs = Math.min(this.#safeMs, sinceMs)
    this.#scanned.set(volume, upToNs)
  }

  /** The marks are about to be taken. */
  taking(): void {
    const nowMs = this.#now()
    const monotonicMs = this.#monotonic()
    const gapMs = monotonicMs - this.#tookMonotonicMs
    this.#longestGapMs = Math.max(this.#longestGapMs, gapMs)
    this.#batchMs = Math.min(this.#tookMs, nowMs - gapMs, this.#heldMs)
    this.#heldMs = Infinity
    this.#tookMs = nowMs
    this.#tookMonotonicMs = monotonicMs
  }

  /** All that was taken led to what was sent up to this sequence, or is held. */
  sent(sequence: number): void {
    this.#sent.push({ sinceMs: this.#batchMs, sequence })
  }

  /** Something is marked again, or waits otherwise; left out: nobody knows since when. */
  hold(oldestAtMs = -Infinity): void {
    this.#heldMs = Math.min(this.#heldMs, Math.max(this.#safeMs, oldestAtMs - this.#longestGapMs))
  }

  /** The link is lost, or another one begins: all that is not durable is marked again. */
  holdSent(): void {
    this.hold()
    this.#sent = []
  }

  /** What of the clock is not made good yet by a walk over change times. */
  get degraded(): readonly Degradation[] { return this.#jumps.map(({ jump }) => jump) }

  /** A walk is due before its time. */
  get wantsScan(): boolean { return this.#jumps.some(({ scanning }) => !scanning) }

  /** A walk over all volumes begins. */
  scanning(): void {
    for (const one of this.#jumps) one.scanning = true
  }

  /** It is over: what was said before it began is made good. */
  scanOver(): void {
    this.#jumps = this.#jumps.filter(({ scanning }) => !scanning)
  }

  /** The clock was set, at `atMs` as it showed before. It may have stood at `lowestMs`: what changes from now on may have such a ctime. */
  clockWasSet(kind: 'clock-set-back' | 'clock-set-forward', atMs: number, lowestMs: number): void {
    this.#jumps = [...this.#jumps.filter(({ jump }) => jump.kind !== kind), { jump: { kind, sinceMs: Math.max(0, atMs) }, scanning: false }]
    if (kind === 'clock-set-back') this.clockWasAt(lowestMs)
  }

  /** What is on the replica is not known any more, until all was compared. */
  nothing(): void {
    this.#heldMs = 0
    this.#safeMs = 0
  }

  /** The clock was set back, and stood at this moment then. */
  clockWasAt(lowestMs: number): void {
    this.#heldMs = Math.min(this.#heldMs, lowestMs)
    this.#safeMs = Math.min(this.#safeMs, lowestMs)
    const lowestNs = BigInt(Math.floor(lowestMs)) * NS_PER_MS
    if (this.#startedAtNs > lowestNs) this.#startedAtNs = lowestNs
    for (const [volume, ns] of this.#scanned) if (ns > lowestNs) this.#scanned.set(volume, lowestNs)
  }

  /** Everything up to this sequence is durable. To be called when what was refused of it is held. */
  durable(sequence: number): void {
    this.#sent = this.#sent.filter(sent => sent.sequence > sequence)
    this.#safeMs = this.#sent.reduce((oldest, { sinceMs }) => Math.min(oldest, sinceMs), Math.min(this.#tookMs, this.#heldMs))
  }
}
