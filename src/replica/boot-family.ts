/** Which family of distributions a source belongs to, and which release of it: each has its own way of making an initramfs and installing a boot loader. */
import type { Workload } from '../domain/workload.ts'

/** The families whose boot fix-ups exist. */
export type BootFamily = 'debian' | 'rhel' | 'suse'
export type Firmware = Workload['firmware']

const FAMILIES: readonly (readonly [BootFamily, readonly string[]])[] = [
  ['debian', ['debian', 'ubuntu']],
  ['rhel', ['rhel', 'centos', 'fedora', 'ol', 'rocky', 'almalinux', 'scientific', 'amzn', 'cloudlinux', 'openeuler', 'anolis', 'kylin', 'virtuozzo', 'eurolinux']],
  ['suse', ['suse', 'sles', 'sled', 'sles_sap', 'opensuse', 'opensuse-leap', 'opensuse-tumbleweed']],
]
/** First and last release whose fix-ups are described, by the numbers of the family's namesake; 0: any. */
const RELEASES: Readonly<Record<BootFamily, readonly [number, number]>> = { debian: [0, 0], rhel: [5, 10], suse: [11, 16] }
/** What releases of others are built from, where their numbers are their own. */
const BUILT_FROM: Readonly<Record<string, (major: number) => number>> = {
  amzn: major => (major >= 2022 ? 9 : major === 2 ? 7 : 6), fedora: major => (major >= 34 ? 9 : major >= 28 ? 8 : 7), openeuler: major => (major >= 22 ? 9 : 8), anolis: major => (major >= 23 ? 9 : major),
  kylin: () => 8, opensuse: major => (major > 16 ? 15 : major), 'opensuse-leap': major => (major === 42 ? 12 : major), 'opensuse-tumbleweed': () => 16,
}

/** By os.id, else by what the distribution says it is like; undefined when it is none of the known ones. */
export function bootFamilyOf({ os }: Pick<Workload, 'os'>): BootFamily | undefined {
  for (const id of [os.id, ...os.idLike]) {
    const family = FAMILIES.find(([, ids]) => ids.includes(id.toLowerCase()))
    if (family !== undefined) return family[0]
  }
  return undefined
}

/** The release by the family's own count; undefined when it has no number, or one whose fix-ups are not known. */
export function releaseOf(workload: Pick<Workload, 'os'>): number | undefined {
  const family = bootFamilyOf(workload)
  const { id, versionId } = workload.os
  if (family === undefined) return undefined
  const [first, last] = RELEASES[family]
  const number = Number(/^\d+/.exec(versionId)?.[0] ?? Number.NaN)
  if (last === 0) return Number.isNaN(number) ? 0 : number // Debian testing has none, and is made to boot as all others
  const from = BUILT_FROM[id.toLowerCase()]
  const major = from === undefined ? number : from(number)
  return Number.isNaN(major) || major < first || major > last ? undefined : major
}
