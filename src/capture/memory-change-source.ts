/** Scripted twin of the capture: a test says what changed, and what a walk would find. */
import type { RelPath } from '../domain/rel-path.ts'
import { ChangeSet } from './change-set.ts'
import type { CaptureStatus, Change, ChangedObject, ChangeSource, Move } from './change-source.ts'
import { MemoryOrigins, type DirectoryName, type Living, type MarkedObjects, type NameEvent } from './memory-origins.ts'
import { inOrder } from './ordered-changes.ts'

export interface MemoryChangeSource extends ChangeSource {
  /** Marks a change. */
  mark(change: Change): void
  /** Tells an event about a name, from which `moves` are found; the marks of its names are marked by themselves. */
  tell(event: NameEvent): void
  /** The queue is full: what is marked and was not taken is given up, and the volume is to be looked at since `sinceMs`. */
  lose(volume: number, sinceMs: number): void
}

export interface MemoryChangeOptions {
  epoch?: string
  /** Where a marked path is by now, undefined when its directory is gone; the same path when left out. */
  locate?: (volume: number, path: RelPath) => RelPath | undefined
  /** The directory and the name that a marked path stands for, where it does by identity. */
  identify?: (volume: number, path: RelPath) => DirectoryName | undefined
  /** Where directories and objects are; left out: nothing is known to have moved. */
  living?: Living
  /** Everything that is on the volume; what a walk finds is taken from it. */
  objects?: (volume: number) => Iterable<ChangedObject>
  now?: () => number
  /** left out: everything is taken at once */
  partSize?: number
}

type ContentChange = Extract<Change, { kind: 'data' | 'metadata' }>

/** A change source that knows what it is told. */
export function createMemoryChangeSource(options: MemoryChangeOptions = {}): MemoryChangeSource {
  return new ScriptedChangeSource(options)
}

class ScriptedChangeSource implements MemoryChangeSource {
  readonly epoch: string
  readonly startedAtNs: bigint
  readonly #options: MemoryChangeOptions
  readonly #changes = new ChangeSet(Infinity)
  #origins = new MemoryOrigins()
  /** what the marks were about that were taken last; undefined when they came in parts */
  #marked: MarkedObjects | undefined = { names: new Set(), objects: new Set() }
  #moves: readonly Move[] = []
  #takenContent = new Map<string, ContentChange>()
  readonly partSize: number
  /** what was taken and is not given yet, what comes last first */
  #waiting: Change[] = []
  /** objects of which content changed, by the volume and the inode */
  #content = new Map<string, ContentChange>()

  constructor(options: MemoryChangeOptions) {
    this.#options = options
    this.partSize = options.partSize ?? Infinity
    this.epoch = options.epoch ?? 'memory'
    this.startedAtNs = this.#nowNs()
  }

  mark(change: Change): void {
    this.#changes.add(change)
    if ((change.kind === 'data' || change.kind === 'metadata') && change.object !== undefined) {
      const key = `${String(change.volume)}:${String(change.object.inode)}`
      if (this.#content.get(key)?.kind !== 'data') this.#content.set(key, change)
    }
  }

  tell(event: NameEvent): void { this.#origins.add(event) }

  lose(volume: number, sinceMs: number): void {
    this.#changes.take()
    this.#content.clear()
    this.#origins = new MemoryOrigins(true)
    this.#changes.add({ kind: 'rescan', volume, sinceMs, atMs: sinceMs, why: ['queue-full'] })
  }

  async take(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    this.#moves = []
    if (!this.hasMore()) this.#begin()
    const part = this.#waiting.splice(Math.max(0, this.#waiting.length - this.partSize)).reverse()
    return this.#located(part, this.hasMore() ? new Map() : this.#takenContent)
  }

  hasMore(): boolean { return this.#waiting.length > 0 }

  moves(): readonly Move[] { return this.#moves }

  async peek(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    if (this.hasMore()) return [...new Set(this.#waiting.map(({ volume }) => volume))].map(volume => ({ kind: 'rescan', volume, sinceMs: 0, atMs: 0, why: [] }))
    const marked = this.#changes.take()
    for (const change of marked) this.#changes.add(change)
    return this.#located(marked, this.#content)
  }

  async looksEnded(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#origins.looksEnded()
  }

  putBack(changes: readonly Change[]): void { for (const change of changes) this.#changes.add(change) }

  pending(): { count: number, oldestAtMs: number | undefined } {
    const { count, oldestAtMs } = this.#changes.pending()
    const oldest = this.#waiting.reduce((before, { atMs }) => Math.min(before, atMs), oldestAtMs ?? Infinity)
    return { count: count + this.#waiting.length, oldestAtMs: oldest === Infinity ? undefined : oldest }
  }

  status(): CaptureStatus { return { ...this.#changes.status(), diskQueueBytes: 0 } }

  async settle(_: number, signal: AbortSignal): Promise<bigint> {
    signal.throwIfAborted()
    return this.#nowNs()
  }

  async* changedSince(volume: number, sinceNs: bigint, _: { frozen: boolean }, signal: AbortSignal): AsyncGenerator<readonly ChangedObject[], void, void> {
    signal.throwIfAborted()
    const found = [...this.#objects(volume)].filter(object => object.ctimeNs >= sinceNs)
    if (found.length > 0) yield found
  }

  async namesOf(volume: number, inodes: readonly bigint[], _: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>> {
    signal.throwIfAborted()
    const names = new Map<bigint, RelPath[]>()
    for (const { inode, path } of this.#objects(volume)) {
      if (inodes.includes(inode)) names.set(inode, [...names.get(inode) ?? [], path])
    }
    return names
  }

  async [Symbol.asyncDispose](): Promise<void> { this.#changes.take() }

  #begin(): void {
    const marked = this.#changes.take()
    this.#takenContent = this.#content
    this.#content = new Map()
    const isWhole = marked.length <= this.partSize
    if (isWhole && this.#options.living !== undefined) this.#moves = this.#origins.moves(this.#options.living, this.#marked)
    this.#origins = new MemoryOrigins()
    this.#marked = isWhole ? this.#about(marked) : undefined
    const places = marked.map(change => ({ change, place: 'path' in change ? { ...change, path: this.#locate(change) ?? change.path } : change }))
    const changeAt = new Map<Change, Change>(places.map(({ change, place }) => [place, change]))
    this.#waiting = isWhole ? marked.reverse() : inOrder(places.map(({ place }) => place)).reverse().map(place => changeAt.get(place) ?? place)
  }

  #locate({ volume, path }: Extract<Change, { path: RelPath }>): RelPath | undefined {
    return this.#options.locate === undefined ? path : this.#options.locate(volume, path)
  }

  #located(marked: readonly Change[], content: ReadonlyMap<string, ContentChange>): readonly Change[] {
    const located = new ChangeSet(Infinity)
    for (const change of marked) {
      if (!('path' in change)) {
        located.add(change)
        continue
      }
      const path = this.#locate(change)
      if (path !== undefined) {
        located.add({ ...change, path })
        continue
      }
      // the directory is gone, but the object may have names elsewhere
      const object = change.kind === 'entry' ? undefined : change.object
      if (object !== undefined && object.linkCount > 1) located.add({ kind: 'object', volume: change.volume, inode: object.inode, atMs: change.atMs })
    }
    for (const change of this.#whereTheyAre(content)) located.add(change)
    return located.take()
  }

  /** An object that changed and left its name is marked where it is. */
  #whereTheyAre(content: ReadonlyMap<string, ContentChange>): ContentChange[] {
    return [...content.values()].flatMap(({ kind, volume, object, atMs }) => {
      const found = [...this.#objects(volume)].find(({ inode }) => inode === object?.inode)
      return found === undefined ? [] : [{ kind, volume, path: found.path, object: { inode: found.inode, linkCount: found.linkCount }, atMs }]
    })
  }

  /** What the marks are about, for the moves of the next period. */
  #about(marked: readonly Change[]): MarkedObjects {
    const about = { names: new Set<string>(), objects: new Set<string>() }
    for (const change of marked) {
      const at = 'path' in change ? this.#options.identify?.(change.volume, change.path) : undefined
      if (at !== undefined) {
        about.names.add(`${String(change.volume)}:${String(at.directory)}/${at.name.toString('latin1')}`)
        about.objects.add(`${String(change.volume)}:${String(at.directory)}`)
      }
      const inode = change.kind === 'object' ? change.inode : change.kind === 'data' || change.kind === 'metadata' ? change.object?.inode : undefined
      if (inode !== undefined) about.objects.add(`${String(change.volume)}:${String(inode)}`)
    }
    return about
  }

  #objects(volume: number): Iterable<ChangedObject> { return this.#options.objects?.(volume) ?? [] }

  #nowNs(): bigint { return BigInt((this.#options.now ?? Date.now)()) * 1_000_000n }
}
