/**
 * What a layer shows differently from the volume below it, read only. Names are kept byte for byte, as Latin-1 text. Nothing else may write to either meanwhile; no link
 * is followed, because a directory is entered only when it is one on both sides.
 */
import { isUtf8 } from 'node:buffer'
import type { BigIntStats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { hashOfFile } from './file-hash.ts'
import { LayerAttributes } from './layer-attributes.ts'

/** The volume, what the layer makes of it, and what that had to keep for itself; a layer that is a whole copy keeps all. */
export interface LayeredVolume { below: string, view: string, upper?: string | undefined }

export interface DirectoryStamp { path: string, mode: number, uid: number, gid: number, mtimeNs: bigint }

export interface LayerChanges {
  /** what is put in the place of what the volume has there, or only taken away; a directory with all below it */
  entries: { path: string, to: 'put' | 'nothing', had: 'nothing' | 'something', linked: boolean }[]
  /** directories of both whose own attributes or entries differ, the deepest first: as they are, and as they become */
  directories: { was: DirectoryStamp, becomes: DirectoryStamp }[]
}

const MODE = 0o7777

/**
 * A file that was written anew with what it had is no change: it keeps its times.
 * @throws {AppError} BOOT_FIXUP_FAILED for a changed name that is no UTF-8: no program of the system has such
 */
export async function layerChanges(volume: LayeredVolume): Promise<LayerChanges> {
  const changes: LayerChanges = { entries: [], directories: [] }
  if (volume.upper === undefined) {
    await look(volume, '', changes)
    return changes
  }
  using attributes = await LayerAttributes.open(volume.view, volume.below)
  await look(volume, '', changes, attributes)
  return changes
}

async function look(volume: LayeredVolume, path: string, changes: LayerChanges, attributes?: LayerAttributes): Promise<void> {
  const at = (side: string, name: string): string => join(side, path, name)
  const { below, view, upper } = volume
  const [shown, had] = [await namesIn(at(view, '')), await namesIn(at(below, ''))]
  const kept = upper === undefined ? shown : await namesIn(at(upper, ''))
  const own: LayerChanges['entries'] = []
  const add = async (name: string, to: 'put' | 'nothing'): Promise<void> => {
    const stats = had.has(name) ? await lstat(at(below, name)) : undefined
    own.push({ path: join(path, name), to, had: stats === undefined ? 'nothing' : 'something', linked: stats !== undefined && !stats.isDirectory() && stats.nlink > 1 })
  }
  for (const raw of [...had].sort()) if (!shown.has(raw)) await add(asText(path, raw), 'nothing')
  for (const raw of [...kept].sort()) {
    if (!shown.has(raw) || (upper === undefined && had.has(raw) && !isText(raw))) continue
    const name = asText(path, raw)
    const is = await lstat(at(view, name), { bigint: true })
    const was = had.has(raw) ? await lstat(at(below, name), { bigint: true }) : undefined
    if (is.isDirectory() && was?.isDirectory() === true) await look(volume, join(path, name), changes, attributes)
    else if (was === undefined || !await sameFile(at(view, name), is, at(below, name), was, upper === undefined) || (attributes !== undefined && !await attributes.same(join(path, name)))) await add(name, 'put')
  }
  // a layer's root is made anew, and its time says nothing
  const was = stampOf(path, await lstat(join(below, path), { bigint: true }))
  const becomes = stampOf(path, await lstat(join(view, path), { bigint: true }))
  const differs = was.mode !== becomes.mode || was.uid !== becomes.uid || was.gid !== becomes.gid || (path !== '' && was.mtimeNs !== becomes.mtimeNs)
  changes.entries.push(...own)
  if (own.length > 0 || differs) changes.directories.push({ was, becomes })
}

async function namesIn(directory: string): Promise<Set<string>> {
  return new Set(await readdir(directory, { encoding: 'latin1' }))
}

function stampOf(path: string, s: BigIntStats): DirectoryStamp {
  return { path, mode: Number(s.mode) & MODE, uid: Number(s.uid), gid: Number(s.gid), mtimeNs: s.mtimeNs }
}

function isText(raw: string): boolean {
  return isUtf8(Buffer.from(raw, 'latin1'))
}

function asText(path: string, raw: string): string {
  if (!isText(raw)) throw new AppError('BOOT_FIXUP_FAILED', `a program of the source changed a file in /${path} whose name is no UTF-8 (${JSON.stringify(raw)})`)
  return Buffer.from(raw, 'latin1').toString('utf8')
}

/** Whether a file has the content that it had. @param isCopy its time tells so, too */
async function sameFile(view: string, is: BigIntStats, below: string, was: BigIntStats, isCopy: boolean): Promise<boolean> {
  if (!is.isFile() || !was.isFile() || is.size !== was.size || is.nlink !== was.nlink) return false
  return (isCopy && is.mtimeNs === was.mtimeNs) || await hashOfFile(view) === await hashOfFile(below)
}
