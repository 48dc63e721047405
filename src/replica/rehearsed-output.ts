/**
 * What a fix-up that takes long made in a rehearsal, kept for the cutover. An initramfs takes most of the time for which a server is away, and it is made from files
 * of the system, which seldom change: while all of them are as they were, and the fix-ups before it did the same, what it made then is what it would make now.
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../clock/clock.ts'
import { copyTree } from '../command/copy.ts'
import { listStamps } from '../command/find.ts'
import type { Runner } from '../command/runner.ts'
import type { ChangedFile, FixUpResult } from '../domain/replica.ts'
import { isAppError } from '../errors/app-error.ts'
import { jobLog } from '../logging/logger.ts'
import type { MountedVolume } from '../storage/volume-stack.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import { hashOfFile } from './file-hash.ts'
import type { ReplicaFiles, ReplicaPath } from './replica-files.ts'

/** Where programs, their settings, and what they make an initramfs from are. A link of these may only lead to another one. */
const SYSTEM = ['bin', 'boot', 'etc', 'lib', 'lib32', 'lib64', 'libx32', 'sbin', 'usr'] as const
const WITHIN_SYSTEM = new RegExp(`^/?(?:${SYSTEM.join('|')})(?:/|$)`)
/** A change that comes so soon after another may have the same time. */
const SAME_TIME_MS = 1000
/** A system that is never quiet for so long is not waited for. */
const TRIES = 5
const RECORD = 'record.json'

const Kept = z.object({
  version: z.literal(1),
  stamp: z.string(), madeFor: z.string(), before: z.string(), messages: z.array(z.string()),
  entries: z.array(z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('directory'), path: z.string() }),
    z.object({ kind: z.literal('gone'), path: z.string() }),
    /** a file or link; `hash`: SHA-256 of a file */
    z.object({ kind: z.literal('saved'), path: z.string(), saved: z.string(), hash: z.string() }),
  ])),
})
type Kept = z.infer<typeof Kept>

export interface RehearsedParts {
  runner: Runner
  /** of this fix-up of this job alone */
  directory: string
  /** the replica's own volumes, below any layer */
  mounted: readonly MountedVolume[]
  /** what it is made for: plan, options, and what was read from the source */
  request: { plan: unknown, workload: unknown, options: unknown }
  /** directories that it is made from beside those of the system */
  from: readonly ReplicaPath[]
  /** what `systemStamp` tells, where it cannot change meanwhile: looked at once for all fix-ups, and only when one of them asks */
  system?: (() => Promise<string | undefined>) | undefined
}

/** What a fix-up did: files that it changed, what it told, and why it failed. */
export interface Performed { changed: readonly ChangedFile[], messages: readonly string[], error?: unknown }

/** Whether the fix-up would find the system as its rehearsal did. It may change a moment later. */
export async function isAsRehearsed(parts: RehearsedParts, signal: AbortSignal): Promise<boolean> {
  return await findKept(parts, signal) !== undefined
}

/**
 * Uses what was made in a rehearsal.
 * @param before what the fix-ups before it did this time
 * @returns what it told then; undefined when it has to be made anew, and nothing was changed
 */
export async function useRehearsed(parts: RehearsedParts, before: readonly FixUpResult[], files: ReplicaFiles, signal: AbortSignal): Promise<readonly string[] | undefined> {
  const kept = await findKept(parts, signal, doneBefore(before))
  if (kept === undefined) return undefined
  for (const entry of kept.entries) if (entry.kind === 'saved' && entry.hash !== await hashOf(join(parts.directory, entry.saved))) return undefined
  for (const entry of kept.entries) {
    if (entry.kind === 'directory') await files.makeDirectory(entry.path)
    else if (entry.kind === 'gone') await files.remove(entry.path)
    else await files.lend(entry.path, async at => { await copyTree(parts.runner, join(parts.directory, entry.saved), at, 'everything', signal) })
  }
  return [...kept.messages, 'as the rehearsal made it: no file of the system was changed since']
}

/** Performs a fix-up of a rehearsal and keeps what it makes; what an earlier one made is forgotten. Nothing is kept when it fails, or the system changes meanwhile. */
export async function keepRehearsed<P extends Performed>(parts: RehearsedParts, before: readonly FixUpResult[], files: ReplicaFiles, clock: Clock, perform: () => Promise<P>, signal: AbortSignal): Promise<P> {
  const { directory } = parts
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  let stamp = await stampOf(parts, signal, clock.now() - SAME_TIME_MS)
  for (let tries = 1; stamp === undefined && tries < TRIES; tries++) {
    await clock.sleep(SAME_TIME_MS, signal)
    stamp = await stampOf(parts, signal, clock.now() - SAME_TIME_MS)
  }
  const performed = await perform()
  if (performed.error !== undefined || stamp === undefined) return performed
  try {
    await keep(parts, stamp, before, performed, files, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error)) throw error
    jobLog.warn({ err: error }, 'what a rehearsal made is not kept; the cutover makes it anew')
  }
  return performed
}

async function keep(parts: RehearsedParts, stamp: string, before: readonly FixUpResult[], { changed, messages }: Performed, files: ReplicaFiles, signal: AbortSignal): Promise<void> {
  const { runner, directory } = parts
  const entries: Kept['entries'] = []
  for (const { path, gone } of changed) {
    const kind = gone === true ? undefined : await files.kind(path, 'stay')
    if (kind === 'other') return
    if (kind === undefined) entries.push({ kind: 'gone', path })
    else if (kind === 'directory') entries.push({ kind, path })
    else {
      const saved = String(entries.length)
      await files.lend(path, async at => { await copyTree(runner, at, join(directory, saved), 'everything', signal) })
      entries.push({ kind: 'saved', path, saved, hash: await hashOf(join(directory, saved)) })
    }
  }
  if (stamp !== await stampOf(parts, signal)) return
  await writeFileAtomically(join(directory, RECORD), JSON.stringify({ version: 1, stamp, madeFor: madeFor(parts), before: doneBefore(before), messages: [...messages], entries } satisfies Kept))
}

/** undefined when it cannot be told */
async function stampOf(parts: RehearsedParts, signal: AbortSignal, sinceMs?: number): Promise<string | undefined> {
  const system = await (parts.system?.() ?? systemStamp(parts, signal, sinceMs))
  if (system === undefined || parts.from.length === 0) return system
  const further = await stampOfPaths(parts, async mounted => await pathsIn(mounted, parts.from), signal, sinceMs)
  return further === undefined ? undefined : digest([system, further])
}

type Places = Pick<RehearsedParts, 'runner' | 'directory' | 'mounted'>

/** Of the system's own directories. @returns undefined when one of them is a link to elsewhere, or something was changed after `sinceMs` */
export async function systemStamp(places: Places, signal: AbortSignal, sinceMs?: number): Promise<string | undefined> {
  return await stampOfPaths(places, systemPaths, signal, sinceMs)
}

async function stampOfPaths({ runner, directory, mounted }: Places, pathsOf: (volume: MountedVolume) => Promise<readonly string[] | undefined>, signal: AbortSignal, sinceMs = Number.MAX_SAFE_INTEGER): Promise<string | undefined> {
  const hash = createHash('sha256')
  for (const volume of mounted) {
    const paths = await pathsOf(volume)
    if (paths === undefined) return undefined
    if (paths.length === 0) continue
    const listing = join(directory, 'listing')
    if (!await listStamps(runner, paths, listing, sinceMs, signal)) return undefined
    hash.update(await hashOf(listing))
    await rm(listing, { force: true })
  }
  return hash.digest('hex')
}

/** What of a volume belongs to the system; undefined when that leads elsewhere. */
async function systemPaths({ mountPoint: at, volume: { volume: { mountPoint, fileSystem } } }: MountedVolume): Promise<readonly string[] | undefined> {
  if (mountPoint === undefined || fileSystem.type === 'vfat') return []
  if (mountPoint !== '/') return WITHIN_SYSTEM.test(mountPoint) ? [at] : []
  const paths: string[] = []
  for (const name of SYSTEM) {
    const path = join(at, name)
    const kind = await kindOf(path)
    if (kind === 'link' && !WITHIN_SYSTEM.test(await readlink(path))) return undefined
    if (kind !== 'nothing') paths.push(path)
  }
  return paths
}

/** Those of the directories that the volume has; undefined when one is reached by a link. */
async function pathsIn({ mountPoint: at, volume: { volume: { mountPoint } } }: MountedVolume, directories: readonly ReplicaPath[]): Promise<readonly string[] | undefined> {
  const paths: string[] = []
  for (const directory of directories) {
    if (mountPoint === undefined || (mountPoint !== '/' && directory !== mountPoint && !directory.startsWith(`${mountPoint}/`))) continue
    let path = at
    let kind = await kindOf(path)
    for (const step of directory.slice(mountPoint.length).split('/').filter(s => s !== '')) {
      path = join(path, step)
      kind = kind === 'directory' ? await kindOf(path) : kind
    }
    if (kind === 'link') return undefined
    if (kind === 'directory') paths.push(path)
  }
  return paths
}

async function kindOf(path: string): Promise<'directory' | 'link' | 'nothing'> {
  const stats = await lstat(path).catch(() => undefined)
  return stats?.isDirectory() === true ? 'directory' : stats?.isSymbolicLink() === true ? 'link' : 'nothing'
}

/** What the fix-ups before it made of files of the system, whatever their times are; directories have only times. */
function doneBefore(results: readonly FixUpResult[]): string {
  const files = results.flatMap(result => result.changed).filter(({ path, before, after, gone }) => WITHIN_SYSTEM.test(path) && (before !== '' || after !== '' || gone === true))
  return digest(files.map(({ path, after, gone }) => [path, after, gone ?? false]))
}

function madeFor({ request: { plan, workload, options } }: RehearsedParts): string {
  return digest([plan, workload, options])
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}

/** What was kept for the same, of a system that is as it was. @param before what has to be done before it, too, when it is asked */
async function findKept(parts: RehearsedParts, signal: AbortSignal, before?: string): Promise<Kept | undefined> {
  const kept = await readKept(parts)
  if (kept === undefined || kept.madeFor !== madeFor(parts) || kept.before !== (before ?? kept.before)) return undefined
  return kept.stamp === await stampOf(parts, signal) ? kept : undefined
}

/** undefined when there is none, or none that can be believed: then it is made anew. */
async function readKept({ directory }: RehearsedParts): Promise<Kept | undefined> {
  try {
    return Kept.parse(JSON.parse(await readFile(join(directory, RECORD), 'utf8')))
  } catch {
    return undefined
  }
}

/** '' for anything but a file. */
async function hashOf(path: string): Promise<string> {
  return (await lstat(path).catch(() => undefined))?.isFile() === true ? await hashOfFile(path) : ''
}
