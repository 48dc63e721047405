/** The rules of a job for each of its volumes, by the places at which they are mounted. */
import { parseRelPath, type RelPath } from '../domain/rel-path.ts'
import type { Rule } from '../domain/rule.ts'
import { compileRules, type VolumeRules } from '../tree/volume-rules.ts'
import type { VolumeRoot } from '../wire/messages.ts'

/** @throws {AppError} RULE_INVALID */
export function compileForVolumes(rules: readonly Rule[], roots: readonly VolumeRoot[]): ReadonlyMap<number, VolumeRules> {
  return new Map(roots.map(root => [root.index, compileRules(rules, mountPointOf(root), roots.flatMap(other => wayTo(root, other)))]))
}

function mountPointOf({ mountPoint, path }: VolumeRoot): string {
  return mountPoint ?? path
}

/** Where another volume is mounted in this one. */
function wayTo(root: VolumeRoot, other: VolumeRoot): RelPath[] {
  const above = mountPointOf(root) === '/' ? '/' : `${mountPointOf(root)}/`
  const at = mountPointOf(other)
  return at !== above && at.startsWith(above) ? [parseRelPath(Buffer.from(at.slice(above.length)))] : []
}
