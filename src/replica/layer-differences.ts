/** Sentences about what a volume loses between itself and its disk. Pure. */
import type { LayoutOptions } from '../domain/layout-options.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { Volume } from '../domain/volume.ts'
import type { Workload } from '../domain/workload.ts'
import type { Between } from './ground.ts'

/** @param what lies on it */
export function betweenDifferences(what: string, { arrays, encryptions }: Between, { encryption }: LayoutOptions): PlanDifference[] {
  return [
    ...arrays.map((a): PlanDifference => ({ code: 'ARRAY_REMOVED', subject: a.name, message: `Software RAID ${a.name} (${a.level} of ${a.members.join(', ')}) below ${what} becomes plain: its content lies where ${a.members[0] ?? ''} was.` })),
    ...encryptions.map((e, i): PlanDifference => (encryption === 're-encrypt' && i === 0
      ? { code: 'RE_ENCRYPTED', subject: e.name, message: `The encryption ${e.name} (${e.type}, ${e.cipher}) of ${what} is made anew with the same UUID and a new passphrase.` }
      : { code: 'DECRYPTED', subject: e.name, message: `${what} arrives decrypted: ${e.name} (${e.type} ${e.uuid}) is not on the replica.` })),
  ]
}

export function resizeDifference({ name, sizeBytes }: Volume, newBytes: number): PlanDifference {
  return { code: 'VOLUME_SIZE', subject: name, message: `Volume ${name} has ${String(newBytes)} bytes instead of ${String(sizeBytes)}.` }
}

/** Disks that have another kind on the source. @param names of the disks that the replica has */
export function diskDifferences({ layers }: Workload, names: ReadonlySet<string>): PlanDifference[] {
  return (layers?.multipaths ?? []).filter(m => names.has(m.name)).map(m => ({
    code: 'MULTIPATH_REMOVED', subject: m.name, message: `The multipath device ${m.name} (${m.wwid}; ${m.paths.join(', ')}) becomes a plain disk: its names are gone.`,
  }))
}
