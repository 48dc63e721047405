/** Scripted twin of the capture: a test says what changed, and what a walk would find. */
import type { RelPath } from '../domain/rel-path.ts'
import { ChangeSet } from './change-set.ts'
import type { CaptureStatus, Change, ChangedObject, ChangeSource, Move } from './change-source.ts'
import { MemoryOrigins, type DirectoryName, type Living, type NameEvent } from './memory-origins.ts'

export interface MemoryChangeSource extends ChangeSource {
  /** Marks a change. */
  mark(change: Change): void
  /** Tells an event about a name, from which `moves` are found; the marks of its names are marked by themselves. */
  tell(event: NameEvent): void
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
  #marked = { names: new Set<string>(), objects: new Set<string>() }
  #moves: readonly Move[] = []
  /** objects of which content changed, by the volume and the inode */
  #content = new Map<string, ContentChange>()

  constructor(options: MemoryChangeOptions) {
    this.#options = options
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

  async take(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    const marked = this.#changes.take()
    this.#moves = this.#options.living === undefined ? [] : this.#origins.moves(this.#options.living, this.#marked)
    this.#origins = new MemoryOrigins()
    this.#remember(marked)
    const located = this.#located(marked)
    this.#content.clear()
    return located
  }

  moves(): readonly Move[] { return this.#moves }

  async peek(signal: AbortSignal): Promise<readonly Change[]> {
    signal.throwIfAborted()
    const marked = this.#changes.take()
    for (const change of marked) this.#changes.add(change)
    return this.#located(marked)
  }

  async looksEnded(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#origins.looksEnded()
  }

  putBack(changes: readonly Change[]): void { for (const change of changes) this.#changes.add(change) }

  pending(): { count: number, oldestAtMs: number | undefined } { return this.#changes.pending() }

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

  #located(marked: readonly Change[]): readonly Change[] {
    const located = new ChangeSet(Infinity)
    for (const change of marked) {
      if (!('path' in change)) {
        located.add(change)
        continue
      }
      const path = this.#options.locate === undefined ? change.path : this.#options.locate(change.volume, change.path)
      if (path !== undefined) {
        located.add({ ...change, path })
        continue
      }
      // the directory is gone, but the object may have names elsewhere
      const object = change.kind === 'entry' ? undefined : change.object
      if (object !== undefined && object.linkCount > 1) located.add({ kind: 'object', volume: change.volume, inode: object.inode, atMs: change.atMs })
    }
    for (const change of this.#whereTheyAre()) located.add(change)
    return located.take()
  }

  /** An object that changed and left its name is marked where it is. */
  #whereTheyAre(): ContentChange[] {
    return [...this.#content.values()].flatMap(({ kind, volume, object, atMs }) => {
      const found = [...this.#objects(volume)].find(({ inode }) => inode === object?.inode)
      return found === undefined ? [] : [{ kind, volume, path: found.path, object: { inode: found.inode, linkCount: found.linkCount }, atMs }]
    })
  }

  /** What the marks are about, for the moves of the next period. */
  #remember(marked: readonly Change[]): void {
    this.#marked = { names: new Set(), objects: new Set() }
    for (const change of marked) {
      const at = 'path' in change ? this.#options.identify?.(change.volume, change.path) : undefined
      if (at !== undefined) {
        this.#marked.names.add(`${String(change.volume)}:${String(at.directory)}/${at.name.toString('latin1')}`)
        this.#marked.objects.add(`${String(change.volume)}:${String(at.directory)}`)
      }
      const inode = change.kind === 'object' ? change.inode : change.kind === 'data' || change.kind === 'metadata' ? change.object?.inode : undefined
      if (inode !== undefined) this.#marked.objects.add(`${String(change.volume)}:${String(inode)}`)
    }
  }

  #objects(volume: number): Iterable<ChangedObject> { return this.#options.objects?.(volume) ?? [] }

  #nowNs(): bigint { return BigInt((this.#options.now ?? Date.now)()) * 1_000_000n }
}
