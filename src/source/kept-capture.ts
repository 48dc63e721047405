/**
 * What an agent keeps on its own disk of a capture, so that the next one can go on with it: the moment up to which everything was durable
 * on the replica, and, after an orderly stop, the changes that were not. One file, replaced as a whole.
 *
 * An orderly stop is believed once: it is turned into what a crash leaves before anything of it is used. After a crash everything is looked
 * at again that has a change time from `safeMs` on, and all names and attributes are compared with the replica's.
 *
 * Why nothing is lost, whatever the source's file system kept at a power loss: `safeMs` never passes the last sync of the volumes
 * (replication/safe-point.ts), so that what changed before it was on the source's disk, dirty pages of mappings included. What changed after
 * it and was kept has a newer change time: its data is compared by checksum. What changed after it and was not kept went to the replica with
 * a newer modification time or size than the source has now: its attributes differ, and it is sent. That holds also where the journal kept an
 * inode and not its data (the change time is new). A clock that was set back while nobody ran shows by the monotonic clock of the same boot;
 * under another boot, by attributes alone. Not found: data that changed with its modification time set back on purpose, and that a power
 * loss, or a clock set back over a reboot, took the change time from.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Change } from '../capture/change-source.ts'
import { DegradationKind } from '../domain/degradation.ts'
import { MAX_RULES, Rule } from '../domain/rule.ts'
import { parseRelPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import { agentLog } from '../logging/logger.ts'
import { writeFileAtomically } from '../trust/atomic-file.ts'
import { VolumeRoot } from '../wire/messages.ts'

/** More changes than this are not kept one by one: they are found again by change time. */
export const MAX_KEPT_CHANGES = 100_000
/** a file that is longer is none of ours */
const MAX_FILE_BYTES = 512 * 1024 * 1024

const volume = z.number().int().min(0).max(65535)
const path = z.base64()
const inode = z.string().regex(/^\d{1,20}$/)
const object = z.strictObject({ inode, linkCount: z.number().int() }).optional()

const KeptChange = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('entry'), volume, path, atMs: z.number() }),
  z.strictObject({ kind: z.enum(['data', 'metadata']), volume, path, object, atMs: z.number() }),
  z.strictObject({ kind: z.literal('object'), volume, inode, atMs: z.number() }),
  z.strictObject({ kind: z.literal('rescan'), volume, sinceMs: z.number(), atMs: z.number(), why: z.array(DegradationKind) }),
])
type KeptChange = z.infer<typeof KeptChange>

/** The two clocks at one moment, ms; equal distances mean that the clock was not set in between. */
export const ClockReading = z.strictObject({ wallMs: z.number(), monotonicMs: z.number() })
export type ClockReading = z.infer<typeof ClockReading>

export const KeptCapture = z.strictObject({
  version: z.literal(1),
  jobId: z.string(),
  roots: z.array(VolumeRoot),
  rules: z.array(Rule).max(MAX_RULES),
  /** of each root, in order: what tells its file system from another one */
  identities: z.array(z.string()),
  epoch: z.string(),
  /** of the source's kernel */
  bootId: z.string(),
  /** what changed before is durable on the replica, and was on the source's own disk */
  safeMs: z.number(),
  clock: ClockReading,
  /** how often it was written: source/capture-count.ts */
  count: z.number().int().nonnegative().default(0),
  /** only after an orderly stop: when it was, and what of the changes before was not durable */
  stopped: z.strictObject({ atMs: z.number(), changes: z.array(KeptChange).max(MAX_KEPT_CHANGES) }).optional(),
})
export type KeptCapture = z.infer<typeof KeptCapture>

/** The file in a state directory; one user at a time. */
export class CaptureFile {
  readonly #path: string

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, 'capture.json')
  }

  /** Undefined when there is none, or none that can be used: then nothing of an earlier capture is believed. */
  async read(): Promise<KeptCapture | undefined> {
    let text: string
    try {
      text = await readFile(this.#path, 'utf8')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) agentLog.warn({ err: error }, 'what the last capture left cannot be read')
      return undefined
    }
    const kept = text.length > MAX_FILE_BYTES ? undefined : KeptCapture.safeParse(jsonOf(text)).data
    if (kept === undefined) agentLog.warn({ path: this.#path }, 'what the last capture left is damaged and is not used')
    return kept
  }

  /** Survives a power loss when it resolves. */
  async write(kept: KeptCapture): Promise<void> {
    await writeFileAtomically(this.#path, `${JSON.stringify(kept)}\n`)
  }

  async forget(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

/** Changes as they are kept: a path as base64 of its bytes. Pure. */
export function keptChange(change: Change): KeptChange {
  switch (change.kind) {
    case 'entry': return { kind: 'entry', volume: change.volume, path: change.path.toString('base64'), atMs: change.atMs }
    case 'data': case 'metadata': {
      const known = change.object === undefined ? {} : { object: { inode: String(change.object.inode), linkCount: change.object.linkCount } }
      return { kind: change.kind, volume: change.volume, path: change.path.toString('base64'), ...known, atMs: change.atMs }
    }
    case 'object': return { kind: 'object', volume: change.volume, inode: String(change.inode), atMs: change.atMs }
    case 'rescan': return { ...change, why: [...change.why] }
  }
}

/** Pure. @throws {AppError} PATH_INVALID when a path is none */
export function changeOfKept(kept: KeptChange): Change {
  switch (kept.kind) {
    case 'entry': return { ...kept, path: pathOfKept(kept.path) }
    case 'data': case 'metadata': {
      const known = kept.object === undefined ? {} : { object: { inode: BigInt(kept.object.inode), linkCount: kept.object.linkCount } }
      return { kind: kept.kind, volume: kept.volume, path: pathOfKept(kept.path), ...known, atMs: kept.atMs }
    }
    case 'object': return { ...kept, inode: BigInt(kept.inode) }
    case 'rescan': return kept
  }
}

function pathOfKept(base64: string): RelPath {
  return base64 === '' ? ROOT_PATH : parseRelPath(Buffer.from(base64, 'base64'))
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // torn or not ours: as good as none
  }
}
