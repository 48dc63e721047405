/** What a verification asks for and finds: records of the protocol, of its report, and of what is shown. */
import { z } from 'zod'

const count = z.number().int().nonnegative()

/** By attributes: type, size, times, owner, mode, flags, extended attributes, links. By data: the blocks of regular files, too. */
export const VerifyBy = z.enum(['attributes', 'data'])
export type VerifyBy = z.infer<typeof VerifyBy>

/**
 * What can differ. `links`: the name shares its object with another name on one side only (`source` and `replica` say with which, in base64).
 * `unreadable`: the source's file could not be read, so that nobody can tell.
 */
export const AspectKind = z.enum(['missing', 'extra', 'type', 'size', 'content', 'mtime', 'owner', 'mode', 'flags', 'project', 'xattr', 'acl', 'target', 'device', 'links', 'unreadable'])
export type AspectKind = z.infer<typeof AspectKind>

export const MAX_ASPECTS = 64
export const MAX_ASPECT_RANGES = 512

/** One thing that differs, with what each side has where that is short enough to say. */
export const Aspect = z.strictObject({
  what: AspectKind,
  source: z.string().max(8192).optional(), replica: z.string().max(8192).optional(),
  /** of an extended attribute, displayed */
  name: z.string().max(2048).optional(),
  /** of content: offset and length in bytes, whole blocks of 4096 but for the end of the file */
  ranges: z.array(z.tuple([count, count])).max(MAX_ASPECT_RANGES).optional(),
})
export type Aspect = z.infer<typeof Aspect>

/** A path of which something differs. Very many aspects or ranges come in several parts, counted from 0. */
export const Difference = z.strictObject({
  volume: z.number().int().min(0).max(65535),
  /** base64 of the path's bytes below the volume's root; '' is the root */
  path: z.base64().max(8192),
  /** of the source's object, of the replica's when the source has none */
  type: z.enum(['file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block']),
  /** it has changed on the source since the verification began: the replica may be right about what was there before */
  moving: z.boolean(),
  part: count,
  aspects: z.array(Aspect).min(1).max(MAX_ASPECTS),
})
export type Difference = z.infer<typeof Difference>

export const VerifyProgress = z.strictObject({
  filesFound: count, filesCompared: count,
  /** of regular files; compared: both sides have hashed them */
  bytesFound: count, bytesCompared: count,
  /** paths that differ, and paths that differ but move */
  differences: count, moving: count,
  /** the walk has ended: found figures are final */
  walked: z.boolean(),
})
export type VerifyProgress = z.infer<typeof VerifyProgress>

export const NO_VERIFY_PROGRESS: VerifyProgress = { filesFound: 0, filesCompared: 0, bytesFound: 0, bytesCompared: 0, differences: 0, moving: 0, walked: false }
