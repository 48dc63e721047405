/**
 * Which files and directories of the replica each boot fix-up changed: read from the layer that all of them write to. So nothing is missed wherever a program wrote, and
 * only what was written is looked at, however large the replica is.
 */
import { createHash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChangedFile } from '../domain/replica.ts'
import type { Layered } from './bring-layer.ts'
import { hashOfChunks } from './file-hash.ts'
import { LayerAttributes } from './layer-attributes.ts'
import type { ReplicaPath } from './replica-place.ts'
import { textDiff } from './text-diff.ts'

/** Larger files are no configuration. */
const MAX_TEXT_BYTES = 64n << 10n
/** Of one file, and of all that one fix-up changes. */
const MAX_DIFF_CHARACTERS = 4000
const MAX_DIFFS_CHARACTERS = 30_000
const READ_BYTES = 1 << 20
const GONE = 'gone'

/** Directories of ours. `kept`: what the layer keeps for itself; a layer that is a copy keeps all. */
interface Sides { mountPoint: string, below: string, view: string, kept: string, attributes?: LayerAttributes }

/** `path` of the volume; `isBelow`: what the volume has there is reached through directories alone, on both sides, so that no link leads elsewhere. */
interface Found { stamp: string, sides: Sides, path: string, isDirectory: boolean, isBelow: boolean }

interface Content { hash: string, text?: string | undefined }

const NOTHING: Content = { hash: '' }

export class ChangedFiles implements Disposable {
  readonly #volumes: readonly Sides[]
  readonly #stack: DisposableStack
  readonly #texts: boolean
  #known: ReadonlyMap<ReplicaPath, Found> = new Map()
  /** of what a fix-up changed already; of anything else, it is the volume's */
  readonly #contents = new Map<ReplicaPath, Content>()

  private constructor(volumes: readonly Sides[], stack: DisposableStack, texts: boolean) {
    this.#volumes = volumes
    this.#stack = stack
    this.#texts = texts
  }

  /** What the layer shows now is where it begins; nothing else may write to it during a look. @param texts small text files get a diff */
  static async open(layered: readonly Layered[], texts: boolean, signal: AbortSignal): Promise<ChangedFiles> {
    using stack = new DisposableStack()
    const volumes: Sides[] = []
    for (const { volume, below, view, upper } of layered) {
      const mountPoint = volume.volume.volume.mountPoint
      if (mountPoint !== undefined) volumes.push({ mountPoint, below, view, kept: upper ?? view, ...upper === undefined ? {} : { attributes: stack.use(await LayerAttributes.open(view, below)) } })
    }
    const files = new ChangedFiles(volumes, stack.move(), texts)
    files.#known = await files.#find(signal)
    return files
  }

  /**
   * What is different since the last look, by path. A directory is, when an entry came or went: its time is not the source's any more. A file that was written
   * anew as it was is not listed: it keeps its time.
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
      const known = this.#contents.get(path)
      const old = known ?? (place.isBelow ? await this.#content(join(place.sides.below, place.path)) : NOTHING)
      const now = is === undefined || is.stamp === GONE ? NOTHING : await this.#content(join(place.sides.kept, place.path))
      this.#contents.set(path, now)
      if (is !== undefined && !is.isDirectory && now.hash !== '' && old.hash === now.hash && await this.#isAsBelow(is, known)) continue
      const diff = old.text === undefined && now.text === undefined ? '' : textDiff(old.text ?? '', now.text ?? '', Math.min(MAX_DIFF_CHARACTERS, room))
      room -= diff.length
      changed.push({ path, before: old.hash, after: now.hash, ...is?.stamp === GONE && is.isDirectory ? { gone: true } : {}, ...diff === '' ? {} : { diff } })
    }
    return changed
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }

  /** Written anew with what the volume has there: it is not brought to the volume. @param known what it was at an earlier look, and is */
  async #isAsBelow({ sides, path, isBelow }: Found, known: Content | undefined): Promise<boolean> {
    if (!isBelow || (known !== undefined && known.hash !== (await this.#content(join(sides.below, path))).hash)) return false
    return sides.attributes === undefined || await sides.attributes.same(path)
  }

  async #find(signal: AbortSignal): Promise<Map<ReplicaPath, Found>> {
    const found = new Map<ReplicaPath, Found>()
    const visit = async (sides: Sides, path: string, isBelow: boolean): Promise<void> => {
      signal.throwIfAborted()
      const stats = await lstat(join(sides.kept, path), { bigint: true })
      // an overlay notes a name that is gone as a device without number
      if (sides.attributes !== undefined && stats.isCharacterDevice() && stats.rdev === 0n) return
      found.set(join(sides.mountPoint, path), { stamp: stampOf(stats), sides, path, isDirectory: stats.isDirectory(), isBelow })
      if (!stats.isDirectory()) return
      const has = isBelow && (await statsOf(join(sides.below, path)))?.isDirectory() === true
      for (const name of await namesIn(join(sides.kept, path))) await visit(sides, join(path, name), has)
      if (!has) return
      const shown = new Set(await namesIn(join(sides.view, path)))
      for (const name of await namesIn(join(sides.below, path))) {
        if (shown.has(name)) continue
        const at = join(path, name)
        found.set(join(sides.mountPoint, at), { stamp: GONE, sides, path: at, isDirectory: (await statsOf(join(sides.below, at)))?.isDirectory() === true, isBelow: true })
      }
    }
    for (const sides of this.#volumes) await visit(sides, '', true)
    return found
  }

  async #content(path: string): Promise<Content> {
    const stats = await statsOf(path)
    if (stats?.isFile() !== true) return NOTHING
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (this.#texts && stats.size <= MAX_TEXT_BYTES) {
        const bytes = await file.readFile()
        // bytes that are no UTF-8 show as such
        return { hash: createHash('sha256').update(bytes).digest('hex'), ...bytes.includes(0) ? {} : { text: bytes.toString('utf8') } }
      }
      return { hash: await hashOfChunks(file.createReadStream({ autoClose: false, highWaterMark: READ_BYTES })) }
    } finally {
      await file.close()
    }
  }
}

function liesInGone(path: ReplicaPath, found: ReadonlyMap<ReplicaPath, Found>): boolean {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) if (found.get(path.slice(0, at))?.stamp === GONE) return true
  return false
}

/** A directory that the layer keeps only for what is in it. */
async function isAsBelow({ sides: { below }, path, stamp, isBelow }: Found): Promise<boolean> {
  const stats = isBelow ? await statsOf(join(below, path)) : undefined
  return stats !== undefined && stampOf(stats) === stamp
}

/** Of a directory only what can be compared with another one's. */
function stampOf(s: BigIntStats): string {
  return [...s.isDirectory() ? [] : [s.dev, s.ino, s.size, s.ctimeNs], s.mode, s.uid, s.gid, s.mtimeNs].join(':')
}

async function statsOf(path: string): Promise<BigIntStats | undefined> {
  return await lstat(path, { bigint: true }).catch(() => undefined)
}

/** Names that are no UTF-8 are left out: none of ours or the system's are. */
async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter(name => !name.includes('\ufffd')).sort()
}
