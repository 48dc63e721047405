/**
 * Which files and directories of the replica each boot fix-up changed: read from the layer that all of them write to. So nothing is missed wherever a program wrote, and
 * only what was written is looked at, however large the replica is.
 */
import type { BigIntStats } from 'node:fs'
import type { ChangedFile } from '../domain/replica.ts'
import type { Layered } from './bring-layer.ts'
import { ReplicaFiles, type ReplicaPath } from './replica-files.ts'
import { textDiff } from './text-diff.ts'

/** Larger files are no configuration. */
const MAX_TEXT_BYTES = 64n << 10n
/** Of one file, and of all that one fix-up changes. */
const MAX_DIFF_CHARACTERS = 4000
const MAX_DIFFS_CHARACTERS = 30_000
const GONE = 'gone'

/** `kept`: what the layer keeps for itself; a layer that is a copy keeps all. */
interface Sides { mountPoint: string, below: ReplicaFiles, view: ReplicaFiles, kept: ReplicaFiles, isCopy: boolean }

interface Found { stamp: string, sides: Sides, path: ReplicaPath, isDirectory: boolean }

interface Content { hash: string, text?: string | undefined }

export class ChangedFiles implements AsyncDisposable {
  readonly #volumes: readonly Sides[]
  readonly #stack: AsyncDisposableStack
  readonly #texts: boolean
  #known: ReadonlyMap<ReplicaPath, Found> = new Map()
  /** of what a fix-up changed already; of anything else, it is the volume's */
  readonly #contents = new Map<ReplicaPath, Content>()

  private constructor(volumes: readonly Sides[], stack: AsyncDisposableStack, texts: boolean) {
    this.#volumes = volumes
    this.#stack = stack
    this.#texts = texts
  }

  /** What the layer shows now is where it begins. @param texts small text files get a diff */
  static async open(layered: readonly Layered[], texts: boolean, signal: AbortSignal): Promise<ChangedFiles> {
    await using stack = new AsyncDisposableStack()
    const volumes: Sides[] = []
    for (const { volume, below, view, upper } of layered) {
      const mountPoint = volume.volume.volume.mountPoint
      if (mountPoint === undefined) continue
      const open = async (directory: string): Promise<ReplicaFiles> => stack.use(await ReplicaFiles.open(directory))
      const shown = await open(view)
      volumes.push({ mountPoint, below: await open(below), view: shown, kept: upper === undefined ? shown : await open(upper), isCopy: upper === undefined })
    }
    const files = new ChangedFiles(volumes, stack.move(), texts)
    files.#known = await files.#find(signal)
    return files
  }

  /**
   * What is different since the last look, by path. A directory is, when an entry came or went: its time is not the source's any more. A file whose content came out the
   * same is still listed: its times are not the source's any more.
   */
  async look(signal: AbortSignal): Promise<ChangedFile[]> {
    const [before, after] = [this.#known, await this.#find(signal)]
    this.#known = after
    let room = MAX_DIFFS_CHARACTERS
    const changed: ChangedFile[] = []
    for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
      const [was, is] = [before.get(path), after.get(path)]
      if (was?.stamp === is?.stamp || (is === undefined && liesInGone(path, after))) continue
      const place = is ?? was
      if (place === undefined || (was === undefined && is?.isDirectory === true && await isAsBelow(is))) continue
      const old = this.#contents.get(path) ?? await this.#content(place.sides.below, place.path)
      const now = is === undefined || is.stamp === GONE ? { hash: '' } : await this.#content(place.sides.kept, place.path)
      this.#contents.set(path, now)
      const diff = old.text === undefined && now.text === undefined ? '' : textDiff(old.text ?? '', now.text ?? '', Math.min(MAX_DIFF_CHARACTERS, room))
      room -= diff.length
      changed.push({ path, before: old.hash, after: now.hash, ...is?.stamp === GONE && is.isDirectory ? { gone: true } : {}, ...diff === '' ? {} : { diff } })
    }
    return changed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #find(signal: AbortSignal): Promise<Map<ReplicaPath, Found>> {
    const found = new Map<ReplicaPath, Found>()
    const visit = async (sides: Sides, path: ReplicaPath): Promise<void> => {
      signal.throwIfAborted()
      const stats = await sides.kept.stats(path, 'stay')
      // an overlay notes a name that is gone as a device without number
      if (stats === undefined || (!sides.isCopy && stats.isCharacterDevice() && stats.rdev === 0n)) return
      found.set(join(sides.mountPoint, path), { stamp: stampOf(stats), sides, path, isDirectory: stats.isDirectory() })
      if (!stats.isDirectory()) return
      for (const name of await sides.kept.names(path)) await visit(sides, join(path, name))
      if (await sides.below.kind(path, 'stay') !== 'directory') return
      const shown = new Set(await sides.view.names(path))
      for (const name of await sides.below.names(path)) {
        if (shown.has(name)) continue
        const at = join(path, name)
        found.set(join(sides.mountPoint, at), { stamp: GONE, sides, path: at, isDirectory: await sides.below.kind(at, 'stay') === 'directory' })
      }
    }
    for (const sides of this.#volumes) await visit(sides, '/')
    return found
  }

  async #content(files: ReplicaFiles, path: ReplicaPath): Promise<Content> {
    const stats = await files.stats(path, 'stay')
    if (stats?.isFile() !== true) return { hash: '' }
    const text = this.#texts && stats.size <= MAX_TEXT_BYTES ? await files.text(path) ?? '' : undefined
    // bytes that are no UTF-8 show as such
    return { hash: await files.hash(path), ...text === undefined || text.includes('\0') ? {} : { text: Buffer.from(text, 'latin1').toString('utf8') } }
  }
}

function liesInGone(path: ReplicaPath, found: ReadonlyMap<ReplicaPath, Found>): boolean {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) if (found.get(path.slice(0, at))?.stamp === GONE) return true
  return false
}

/** A directory that the layer keeps only for what is in it. */
async function isAsBelow({ sides: { below }, path, stamp }: Found): Promise<boolean> {
  const stats = await below.stats(path, 'stay')
  return stats !== undefined && stampOf(stats) === stamp
}

/** Of a directory only what can be compared with another one's. */
function stampOf(s: BigIntStats): string {
  return [...s.isDirectory() ? [] : [s.dev, s.ino, s.size, s.ctimeNs], s.mode, s.uid, s.gid, s.mtimeNs].join(':')
}

function join(directory: string, name: string): ReplicaPath {
  const [before, after] = [directory.replace(/\/$/, ''), name.replace(/^\//, '')]
  return after === '' ? directory : `${before}/${after}`
}
