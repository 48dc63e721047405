/**
 * Turns at something that one sender uses at a time, for senders of two kinds: while both have something to send, each kind gets its share by
 * weight, counted in bytes; a kind that is alone gets all, and saves nothing up for later. Within a kind it goes in the order of asking.
 * A kind with one sender has its next batch a moment after the last: it is waited for when the kind is behind its share.
 */
import type { Ratio } from '../domain/transmission.ts'

export type Kind = keyof Ratio

interface Waiter { tag: number, bytes: number, resolve: () => void, reject: (error: Error) => void }

/** so long is waited for the next one of a kind that is behind */
const PATIENCE_MS = 2

export class FairTurns {
  readonly #ratio: () => Ratio
  readonly #waiting: Record<Kind, Waiter[]> = { mirror: [], replication: [] }
  /** where the last turn that was asked for ends, in bytes by weight */
  readonly #end: Record<Kind, number> = { mirror: 0, replication: 0 }
  #now = 0
  /** whose turn it is */
  #holder: Kind | undefined
  /** nobody uses the turn: the next one of that kind is waited for */
  #expected: { kind: Kind, late: NodeJS.Timeout } | undefined

  /** @param ratio asked for with each turn: it may change */
  constructor(ratio: () => Ratio) {
    this.#ratio = ratio
  }

  /** Resolves when it is this one's turn, which ends with `give`. Abort gives it up. */
  async take(kind: Kind, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#holder === undefined || this.#expected?.kind === kind) {
      this.#expect(undefined)
      this.#holder = kind
      this.#now = this.#tag(kind, bytes)
      return
    }
    await new Promise<void>((resolve, reject) => {
      const waiting = this.#waiting[kind]
      const stop = (): void => {
        waiting.splice(waiting.indexOf(waiter), 1)
        reject(signal.reason as Error)
      }
      const waiter: Waiter = { tag: 0, bytes, resolve: () => { signal.removeEventListener('abort', stop); resolve() }, reject }
      if (waiting.length === 0) waiter.tag = this.#tag(kind, bytes)
      waiting.push(waiter)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  give(): void {
    const last = this.#holder
    const other = last === 'mirror' ? 'replication' : 'mirror'
    const [first] = this.#waiting[other]
    if (last !== undefined && first !== undefined && this.#waiting[last].length === 0 && this.#end[last] < first.tag) this.#expect(last)
    else this.#serve()
  }

  #serve(): void {
    const kind = this.#next()
    this.#holder = kind
    const next = kind === undefined ? undefined : this.#waiting[kind].shift()
    if (kind === undefined || next === undefined) return
    this.#now = Math.max(this.#now, next.tag)
    const [after] = this.#waiting[kind]
    if (after !== undefined) after.tag = this.#tag(kind, after.bytes)
    next.resolve()
  }

  #expect(kind: Kind | undefined): void {
    clearTimeout(this.#expected?.late)
    this.#expected = kind === undefined ? undefined : { kind, late: setTimeout(() => { this.#expected = undefined; this.#serve() }, PATIENCE_MS) }
  }

  /** Whose turn it is: the one whose turn begins first, by weight. */
  #next(): Kind | undefined {
    const [[mirror], [replication]] = [this.#waiting.mirror, this.#waiting.replication]
    if (mirror === undefined) return replication === undefined ? undefined : 'replication'
    return replication !== undefined && replication.tag <= mirror.tag ? 'replication' : 'mirror'
  }

  /** Where a turn begins: behind the last one of its kind, but not in the past. */
  #tag(kind: Kind, bytes: number): number {
    const tag = Math.max(this.#now, this.#end[kind])
    this.#end[kind] = tag + bytes / this.#ratio()[kind]
    return tag
  }
}
