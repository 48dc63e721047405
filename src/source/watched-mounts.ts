/**
 * Changes of volumes whose mounts are watched too: what is mounted or unmounted below a volume is shown and looked at again; a volume that
 * the job does not have is shown; and when a volume is no longer where it was, the capture ends instead of going on with something else.
 */
import { lstat, readFile } from 'node:fs/promises'
import type { Change, ChangeSource } from '../capture/change-source.ts'
import type { Clock } from '../clock/clock.ts'
import type { Degradation } from '../domain/degradation.ts'
import { parseRelPath } from '../domain/rel-path.ts'
import { AppError } from '../errors/app-error.ts'
import { captureLog } from '../logging/logger.ts'
import { native } from '../posix/native.ts'
import type { NativeMountEvents } from '../posix/watching.ts'
import { mountsBelow, type Mount } from '../workload/mount-table.ts'
import { compareMounts, type MountsOfVolumes } from './compare-mounts.ts'

export interface WatchedMountsOptions {
  /** absolute path of each volume's root, by the volume's index on the wire */
  volumes: ReadonlyMap<number, string>
  /** the directory that is the source's root */
  root: string
  clock: Clock
}

/** how long a mount that came or went is shown */
const SHOW_MS = 10 * 60_000
const MAX_SHOWN = 32

/** Disposing disposes of `changes`, which is disposed of when this fails, too. */
export async function watchedMounts(changes: ChangeSource, options: WatchedMountsOptions): Promise<ChangeSource> {
  await using opening = new AsyncDisposableStack()
  opening.use(changes)
  const watch = await MountWatch.open(options)
  opening.move()
  return {
    epoch: changes.epoch, startedAtNs: changes.startedAtNs, partSize: changes.partSize,
    take: async signal => {
      signal.throwIfAborted()
      const marks = await watch.look()
      changes.putBack(marks)
      return await changes.take(signal)
    },
    hasMore: () => changes.hasMore(),
    moves: () => changes.moves(),
    peek: async signal => await changes.peek(signal),
    looksEnded: async signal => { await changes.looksEnded(signal) },
    putBack: back => { changes.putBack(back) },
    pending: () => changes.pending(),
    status: () => {
      const status = changes.status()
      return { ...status, degraded: [...status.degraded, ...watch.degraded()] }
    },
    settle: async (volume, signal) => await changes.settle(volume, signal),
    changedSince: (volume, sinceNs, walk, signal) => changes.changedSince(volume, sinceNs, walk, signal),
    namesOf: async (volume, inodes, walk, signal) => await changes.namesOf(volume, inodes, walk, signal),
    [Symbol.asyncDispose]: async () => {
      watch[Symbol.dispose]()
      await changes[Symbol.asyncDispose]()
    },
  }
}

class MountWatch implements Disposable {
  readonly #options: WatchedMountsOptions
  readonly #events: NativeMountEvents
  /** which directory each volume's root was */
  readonly #identities: ReadonlyMap<number, string>
  #mounts: MountsOfVolumes
  #shown: { degradation: Degradation, untilMs: number }[] = []
  /** by their devices */
  readonly #fresh = new Map<string, Degradation>()
  #replaced: { volume: number, error: AppError, sinceMs: number } | undefined

  private constructor(options: WatchedMountsOptions, events: NativeMountEvents, identities: ReadonlyMap<number, string>, mounts: MountsOfVolumes) {
    this.#options = options
    this.#events = events
    this.#identities = identities
    this.#mounts = mounts
  }

  static async open(options: WatchedMountsOptions): Promise<MountWatch> {
    const events = native.MountEvents.open()
    const identities = new Map<number, string>()
    for (const [volume, path] of options.volumes) identities.set(volume, await identityOf(path) ?? '')
    return new MountWatch(options, events, identities, { volumes: options.volumes, mounts: await readMounts(options.root) })
  }

  /**
   * What must be looked at again because of mounts that came or went.
   * @throws {AppError} SOURCE_MISSING when a volume was unmounted, CAPTURE_OVERFLOW when another file system is there; again at every call
   */
  async look(): Promise<Change[]> {
    if (this.#replaced === undefined && !this.#events.changed()) return []
    const { volumes, root, clock } = this.#options
    const now = clock.now()
    await this.#checkVolumes(now)
    const before = this.#mounts
    this.#mounts = { volumes, mounts: await readMounts(root) }
    const { changed, added } = compareMounts(before, this.#mounts)
    for (const { mountPoint, majorMinor } of added) this.#fresh.set(majorMinor, { kind: 'volume-new', subject: mountPoint, sinceMs: now })
    for (const device of this.#fresh.keys()) if (!this.#mounts.mounts.some(({ majorMinor }) => majorMinor === device)) this.#fresh.delete(device)
    return changed.map(({ volume, path, subject }) => {
      captureLog.info({ volume, subject }, 'a mount below a volume came or went')
      this.#shown = [...this.#shown, { degradation: { kind: 'mount-changed' as const, volume, subject, sinceMs: now }, untilMs: now + SHOW_MS }].slice(-MAX_SHOWN)
      return { kind: 'metadata', volume, path: parseRelPath(Buffer.from(path)), atMs: now }
    })
  }

  degraded(): Degradation[] {
    const now = this.#options.clock.now()
    this.#shown = this.#shown.filter(({ untilMs }) => untilMs > now)
    const replaced: Degradation[] = this.#replaced === undefined ? [] : [{ kind: 'volume-replaced', volume: this.#replaced.volume, sinceMs: this.#replaced.sinceMs }]
    return [...replaced, ...[...this.#fresh.values()].slice(0, MAX_SHOWN), ...this.#shown.map(({ degradation }) => degradation)]
  }

  [Symbol.dispose](): void {
    this.#events.close()
  }

  async #checkVolumes(now: number): Promise<void> {
    this.#replaced = undefined
    for (const [volume, path] of this.#options.volumes) {
      if (await identityOf(path) === this.#identities.get(volume)) continue
      const isMounted = (await readMounts('/')).some(({ hostPath }) => hostPath === path)
      const error = isMounted
        ? new AppError('CAPTURE_OVERFLOW', `another file system is mounted at ${path} than when the capture began`)
        : new AppError('SOURCE_MISSING', `the volume at ${path} was unmounted on the source`)
      this.#replaced = { volume, error, sinceMs: now }
      throw error
    }
  }
}

/** Device and inode of a directory; undefined when it is gone. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true })
    return `${String(dev)}:${String(ino)}`
  } catch {
    return undefined // gone, or unreadable: in any case not what it was
  }
}

async function readMounts(root: string): Promise<Mount[]> {
  return mountsBelow(await readFile('/proc/self/mountinfo', 'utf8'), root, () => undefined)
}
