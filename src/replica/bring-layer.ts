/**
 * Brings what a layer shows to the volumes below it, so that it can be taken back. In this order: what will be replaced is copied to a directory of ours and a
 * record of it is written, both durable; then the volumes are changed; and when nobody will ask for it any more, the record is forgotten. While it is there,
 * taking back puts every volume to what it was, as often as it is tried and wherever it was broken off.
 */
import { lchown, chmod, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { copyInto, copyTree, syncFileSystem } from '../command/copy.ts'
import type { Runner } from '../command/runner.ts'
import { AppError } from '../errors/app-error.ts'
import { setModified } from '../posix/mounting.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import { flag, flaggedFiles, unlock, type FlaggedFile } from './flagged-files.ts'
import { layerChanges, type DirectoryStamp, type LayerChanges, type LayeredVolume } from './layer-changes.ts'

/** One volume, as it is mounted, and what lies over it. */
export interface Layered extends LayeredVolume { volume: MountedVolume }

/** What is brought to one volume. */
interface Work { layer: Layered, changes: LayerChanges, flagged: FlaggedFile[] }

const RECORD = 'record.json'

const Taken = z.object({
  version: z.literal(1),
  volumes: z.array(z.object({
    index: z.number().int(),
    /** unlocked while files are changed; they have their flags again then */
    flagged: z.array(z.object({ path: z.string(), flags: z.number().int() })).default([]),
    /** `saved`: the name of the copy in our directory */
    entries: z.array(z.object({ path: z.string(), saved: z.string().optional(), linked: z.boolean() })),
    directories: z.array(z.object({ path: z.string(), mode: z.number().int(), uid: z.number().int(), gid: z.number().int(), mtimeNs: z.string() })),
  })),
})
type Taken = z.infer<typeof Taken>

/**
 * @param directory of ours; what is to be taken back lies there until `forget`
 * @param beforeChanges is awaited when everything is ready and nothing was changed yet
 * @throws {AppError} BOOT_FIXUP_FAILED, TOOL_FAILED; what was done until then is taken back by `takeBack`
 */
export async function bringLayer(runner: Runner, layered: readonly Layered[], directory: string, beforeChanges: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const work: Work[] = []
  for (const layer of layered) work.push({ layer, changes: await layerChanges(layer), flagged: await flaggedFiles({ volume: layer.volume.volume, mountPoint: layer.below }, signal) })
  await save(runner, work, directory, signal)
  await beforeChanges()
  for (const { layer, changes, flagged } of work) {
    signal.throwIfAborted()
    if (changes.entries.length + changes.directories.length === 0) continue
    await unlock(layer.below, flagged)
    for (const { path } of changes.entries) await rm(join(layer.below, path), { recursive: true, force: true })
    for (const [parent, paths] of byParent(changes.entries.filter(({ to }) => to === 'put'))) {
      await copyInto(runner, paths.map(path => join(layer.view, path)), join(layer.below, parent), keptOn(layer.volume), signal)
    }
    for (const { becomes } of changes.directories) await stampDirectory(layer, becomes)
    await flag(layer.below, flagged)
    await syncFileSystem(runner, layer.below, signal)
  }
}

/**
 * Makes the volumes what they were before `bringLayer`; nothing when there is no record in `directory`.
 * @returns why they are not in every respect what they were, undefined when they are; `nothing` when there was no record
 * @throws {AppError} TOOL_FAILED, VOLUME_LAYOUT
 */
export async function takeBack(runner: Runner, mounted: readonly MountedVolume[], directory: string, signal: AbortSignal): Promise<{ found: boolean, lost?: string }> {
  const taken = await readTaken(directory)
  if (taken === undefined) return { found: false }
  for (const { index, entries, directories, flagged } of taken.volumes) {
    const volume = mounted.find(m => m.volume.index === index)
    if (volume === undefined) throw new AppError('VOLUME_LAYOUT', `volume ${String(index)} is not mounted: what the fix-ups changed there cannot be taken back`)
    await unlock(volume.mountPoint, flagged)
    for (const { path, saved } of entries) {
      const at = join(volume.mountPoint, path)
      await rm(at, { recursive: true, force: true })
      if (saved !== undefined) await copyTree(runner, join(directory, saved), at, keptOn(volume), signal)
    }
    for (const stamp of directories) await stampDirectory({ below: volume.mountPoint, volume }, { ...stamp, mtimeNs: BigInt(stamp.mtimeNs) })
    await flag(volume.mountPoint, flagged)
    await syncFileSystem(runner, volume.mountPoint, signal)
  }
  const linked = taken.volumes.flatMap(v => v.entries).find(e => e.linked)
  return linked === undefined ? { found: true } : { found: true, lost: `${linked.path} had more names than one, which are not linked any more` }
}

async function save(runner: Runner, work: readonly Work[], directory: string, signal: AbortSignal): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await rm(join(directory, RECORD), { force: true }) // of one that was taken back
  const taken: Taken = { version: 1, volumes: [] }
  let saved = 0
  for (const { layer, changes, flagged } of work) {
    const entries: Taken['volumes'][number]['entries'] = []
    const folders = new Map<string, string>()
    for (const [parent, paths] of byParent(changes.entries.filter(({ had }) => had === 'something'))) {
      const folder = `before-${String(saved++)}`
      folders.set(parent, folder)
      await rm(join(directory, folder), { recursive: true, force: true }) // of a try that was broken off
      await mkdir(join(directory, folder), { mode: 0o700 })
      await copyInto(runner, paths.map(path => join(layer.below, path)), join(directory, folder), 'everything', signal)
    }
    for (const { path, had, linked } of changes.entries) entries.push({ path, linked, ...had === 'nothing' ? {} : { saved: join(folders.get(dirname(path)) ?? '', basename(path)) } })
    taken.volumes.push({ index: layer.volume.volume.index, flagged, entries, directories: changes.directories.map(({ was }) => ({ ...was, mtimeNs: String(was.mtimeNs) })) })
  }
  await syncFileSystem(runner, directory, signal)
  await writeFileAtomically(join(directory, RECORD), JSON.stringify(taken))
}

/** Paths by the directory that they are in, so that those of one are copied in one call. */
function byParent(entries: readonly { path: string }[]): ReadonlyMap<string, string[]> {
  return Map.groupBy(entries.map(({ path }) => path), dirname)
}

async function readTaken(directory: string): Promise<Taken | undefined> {
  try {
    return Taken.parse(JSON.parse(await readFile(join(directory, RECORD), 'utf8')))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new AppError('STORE_INVALID', `what the fix-ups replaced is not to be read in ${directory}`, { cause: error })
  }
}

async function stampDirectory({ below, volume }: Pick<Layered, 'below' | 'volume'>, { path, mode, uid, gid, mtimeNs }: DirectoryStamp): Promise<void> {
  const at = join(below, path)
  if (keptOn(volume) === 'everything') {
    await lchown(at, uid, gid)
    await chmod(at, mode)
  }
  await setModified(at, mtimeNs)
}

function keptOn({ volume }: MountedVolume): 'everything' | 'times' {
  return volume.volume.fileSystem.type === 'vfat' ? 'times' : 'everything'
}
