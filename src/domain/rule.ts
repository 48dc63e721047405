/**
 * Which files of a source belong to its replica: rules that include or exclude. What they mean is told here, once:
 *
 * - A rule *covers* what its pattern matches. When that is a directory, a recursive rule also covers everything below it; one that is not
 *   recursive covers the entries directly in it that are no directories, and an exclude rule of that kind leaves the directory itself in.
 * - Without an include rule everything belongs to the replica; with some, what at least one of them covers. What an exclude rule covers
 *   never does: rules of different kinds both apply, whatever their order. Of two rules of the same kind the wider one counts, so a
 *   recursive rule at a higher level makes those of its kind below it superfluous.
 * - Directories below which an include may still match are on the replica too, with their metadata, so that what is matched has its place;
 *   so are those that hold the job's other volumes.
 * - On the replica, what an exclude rule covers is neither written, compared nor removed, and is never an orphan; a directory that holds
 *   such a name is not removed as a whole. As soon as one include rule has a wildcard, the includes describe all that the replica is to
 *   hold: what none of them covers is an orphan. With plain paths alone they say where to work: what lies elsewhere is left alone.
 * - What is on the replica outside the rules without being an orphan (sent by an earlier mirror with other rules) is counted and reported,
 *   and goes only when that is asked for.
 *
 * A pattern is text that stands for the bytes of a path, matched byte by byte:
 *
 *   /a/b    anchored: this path of the source, beginning at its root directory (a volume is named by its mount point, `/` is everything)
 *   a/b     not anchored: a path that ends so, at any depth; with no slash at all, a name anywhere
 *   a/      with a slash at its end it matches directories only
 *   *       any bytes within a name, none too, a leading dot too         ?    one byte of a name
 *   **      as a whole step: any number of steps, none too (elsewhere it is `*`)
 *   [a-z]   one byte of a set; `!` or `^` at its beginning: one not of it; `]` as the first of the set is one of it. ASCII, or escapes
 *   \xNN    the byte with this number; `\` before a character that is no letter or digit takes its meaning away
 *
 * Everything else, a leading dash or a newline too, stands for itself. Empty steps, "." and "..", NUL, and sets that do not end are refused.
 */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { parsePattern } from './rule-pattern.ts'

/** Most rules of a job, and bytes of all their patterns: what is compiled once and tried on every name stays small. */
export const MAX_RULES = 1000
export const MAX_RULES_BYTES = 64 * 1024

export const Rule = z.strictObject({
  kind: z.enum(['include', 'exclude']),
  /** see above; checked by `checkRules`, which says what is wrong with it */
  pattern: z.string(),
  recursive: z.boolean().default(true),
})
export type Rule = z.infer<typeof Rule>

/** @throws {AppError} RULE_INVALID naming the rule and what is wrong with it, or when they are too many */
export function checkRules(rules: readonly Rule[]): void {
  if (rules.length > MAX_RULES) throw new AppError('RULE_INVALID', `there are ${String(rules.length)} rules, and at most ${String(MAX_RULES)} are possible`)
  const bytes = rules.reduce((sum, rule) => sum + Buffer.byteLength(rule.pattern), 0)
  if (bytes > MAX_RULES_BYTES) throw new AppError('RULE_INVALID', `the patterns of the rules have ${String(bytes)} bytes, and at most ${String(MAX_RULES_BYTES)} are possible`)
  for (const rule of rules) parsePattern(rule.pattern)
}
