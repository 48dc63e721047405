/** Which family of distributions a source belongs to: each has its own way of making an initramfs and installing a boot loader. */
import type { Workload } from '../domain/workload.ts'

/** The families whose boot fix-ups exist. */
export type BootFamily = 'debian'

const FAMILIES: readonly (readonly [BootFamily, readonly string[]])[] = [['debian', ['debian', 'ubuntu']]]

/** By os.id, else by what the distribution says it is like; undefined when it is none of the known ones. */
export function bootFamilyOf({ os }: Pick<Workload, 'os'>): BootFamily | undefined {
  return FAMILIES.find(([, ids]) => [os.id, ...os.idLike].some(id => ids.includes(id)))?.[0]
}
