/** The targets of a mirror, each with a mark on its root that follows the flushes until the mirror is complete. */
import type { Clock } from '../clock/clock.ts'
import { LIMBO } from '../domain/limbo.ts'
import type { RelPath } from '../domain/rel-path.ts'
import type { ApplyResult, TargetTree } from '../tree/target-tree.ts'
import type { DirectoryPage } from '../tree/source-tree.ts'
import type { DirectoryDigest, ListingPage } from '../wire/listing-codec.ts'
import type { ResumePoint } from '../wire/messages.ts'
import { encodeOperation, type OperationBatch } from '../wire/operation-codec.ts'
import { beginMark, flushedBefore, readMark, resumePoint, type BegunMirror, type MirrorMark } from './mirror-mark.ts'

export class MarkedTargets {
  readonly #trees = new Map<number, MarkedTarget>()
  /** what interrupted mirrors have left, for the agent */
  readonly resume: ResumePoint[] = []

  private constructor() { /* by begin */ }

  /** Marks all targets; their trees stay their owner's. @throws {AppError} REPLICA_READ_ONLY, REPLICA_WRITE */
  static async begin(targets: ReadonlyMap<number, TargetTree>, begun: BegunMirror, clock: Clock, signal: AbortSignal): Promise<MarkedTargets> {
    const marked = new MarkedTargets()
    for (const [volume, tree] of targets) {
      await tree.apply(encodeOperation({ kind: 'remove', path: LIMBO }), signal)
      const left = await readMark(tree, signal)
      const nowMs = clock.now()
      if (left !== undefined || begun.settledBeforeMs !== undefined) marked.resume.push(resumePoint(left, begun, volume, nowMs))
      const mark = beginMark(left, begun, nowMs)
      const kept = await tree.writeMirrorMark(JSON.stringify(mark), true, signal)
      marked.#trees.set(volume, new MarkedTarget(tree, kept ? mark : undefined, clock))
    }
    return marked
  }

  get trees(): ReadonlyMap<number, TargetTree> { return this.#trees }

  /** Takes the marks away: everything is flushed. @throws {AppError} REPLICA_WRITE */
  async complete(signal: AbortSignal): Promise<void> {
    for (const tree of this.#trees.values()) await tree.writeMirrorMark(undefined, true, signal)
  }
}

/** Moves its mark on with every flush; disposing leaves the tree alone. */
class MarkedTarget implements TargetTree {
  readonly #tree: TargetTree
  readonly #clock: Clock
  #mark: MirrorMark | undefined

  constructor(tree: TargetTree, mark: MirrorMark | undefined, clock: Clock) {
    this.#tree = tree
    this.#mark = mark
    this.#clock = clock
  }

  async flush(signal: AbortSignal): Promise<void> {
    const durableBeforeMs = flushedBefore(this.#clock.now())
    await this.#tree.flush(signal)
    if (this.#mark === undefined) return
    // also backwards, when the clock was set back: what was written before is flushed, what is written next has times from here on
    this.#mark = { ...this.#mark, durableBeforeMs }
    await this.#tree.writeMirrorMark(JSON.stringify(this.#mark), false, signal)
  }

  async apply(batch: OperationBatch, signal: AbortSignal): Promise<ApplyResult> { return await this.#tree.apply(batch, signal) }
  list(directory: RelPath, signal: AbortSignal): AsyncIterable<ListingPage> { return this.#tree.list(directory, signal) }
  listAll(directories: readonly RelPath[], signal: AbortSignal): AsyncIterable<DirectoryPage> { return this.#tree.listAll(directories, signal) }
  async look(path: RelPath, signal: AbortSignal): Promise<ListingPage | undefined> { return await this.#tree.look(path, signal) }
  async same(directories: readonly DirectoryDigest[], signal: AbortSignal): Promise<Buffer> { return await this.#tree.same(directories, signal) }
  async blockHashes(path: RelPath, offset: number, lengthBytes: number, blockBytes: number, signal: AbortSignal): Promise<Buffer> {
    return await this.#tree.blockHashes(path, offset, lengthBytes, blockBytes, signal)
  }

  async readMirrorMark(signal: AbortSignal): Promise<string | undefined> { return await this.#tree.readMirrorMark(signal) }
  async writeMirrorMark(value: string | undefined, durable: boolean, signal: AbortSignal): Promise<boolean> { return await this.#tree.writeMirrorMark(value, durable, signal) }
  [Symbol.asyncDispose](): Promise<void> { return Promise.resolve() }
}
