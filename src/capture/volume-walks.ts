/** Walks over captured volumes, for what events do not tell. While a volume is frozen no descriptor of them is closed. */
import { open } from 'node:fs/promises'
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { walkedObjects, type NativeWalk } from '../posix/capture.ts'
import { native } from '../posix/native.ts'
import type { ChangedObject } from './change-source.ts'

export class VolumeWalks implements Disposable {
  readonly #roots: ReadonlyMap<number, string>
  /** walks of a frozen volume: their descriptors are closed with them */
  #kept: NativeWalk[] = []

  /** @param roots absolute path of each volume's root, by the volume's index on the wire */
  constructor(roots: ReadonlyMap<number, string>) {
    this.#roots = roots
  }

  /** Writes the volume's dirty pages back. @throws {AppError} VOLUME_NOT_FOUND */
  async writeBack(volume: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await using root = await open(this.#root(volume), 'r')
    await native.syncFileSystem(root.fd)
  }

  /** As ChangeSource.changedSince. */
  changedSince(volume: number, sinceNs: bigint, options: { frozen: boolean }, signal: AbortSignal): AsyncIterable<readonly ChangedObject[]> {
    return this.#walk(volume, sinceNs, [], options, signal)
  }

  /** As ChangeSource.namesOf. */
  async namesOf(volume: number, inodes: readonly bigint[], options: { frozen: boolean }, signal: AbortSignal): Promise<ReadonlyMap<bigint, readonly RelPath[]>> {
    const names = new Map<bigint, RelPath[]>()
    for await (const page of this.#walk(volume, null, inodes, options, signal)) {
      for (const { inode, path } of page) {
        const of = names.get(inode)
        if (of === undefined) names.set(inode, [path])
        else of.push(path)
      }
    }
    return names
  }

  [Symbol.dispose](): void {
    for (const walk of this.#kept) walk.close()
    this.#kept = []
  }

  async* #walk(volume: number, sinceNs: bigint | null, inodes: readonly bigint[], { frozen }: { frozen: boolean }, signal: AbortSignal): AsyncGenerator<readonly ChangedObject[], void, void> {
    if (!frozen) this[Symbol.dispose]()
    const walk = native.ChangedWalk.open(Buffer.from(this.#root(volume)), sinceNs, inodes, frozen)
    try {
      for (;;) {
        signal.throwIfAborted()
        const page = await walk.next()
        if (page.length === 0) return
        yield Array.from(walkedObjects(page), object => ({ ...object, path: parseRelPath(object.path) }))
      }
    } finally {
      if (frozen) this.#kept.push(walk)
      else walk.close()
    }
  }

  #root(volume: number): string {
    const root = this.#roots.get(volume)
    if (root === undefined) throw new AppError('VOLUME_NOT_FOUND', `volume ${String(volume)} is not captured`)
    return root
  }
}
