/** What a mounted btrfs of the source is, with the subvolumes that its replica is made with. */
import { defaultSubvolume, listSubvolumes, readBtrfsSuperblock, readProfiles } from '../command/btrfs.ts'
import { isNoCow } from '../command/lsattr.ts'
import type { Runner } from '../command/runner.ts'
import type { FileSystem, Subvolume } from '../domain/volume.ts'
import { orFinding, type Report } from './findings.ts'
import type { Mount } from './mount-table.ts'

export interface BtrfsRequest {
  runner: Runner
  device: string
  /** all mounts of this file system; one at least */
  mounts: readonly Mount[]
  report: Report
  signal: AbortSignal
}

const MAX_SUBVOLUMES = 1000

/** @throws {AppError} what the tool throws; the caller makes a finding of it */
export async function describeBtrfs(request: BtrfsRequest, fileSystem: FileSystem): Promise<{ fileSystem: FileSystem, unsupportedReason?: string }> {
  const { runner, device, mounts, signal } = request
  const { label, features, properties } = await readBtrfsSuperblock(runner, device, signal)
  const place = mounts[0]?.hostPath
  const profiles = place === undefined ? { data: '', metadata: '' } : await readProfiles(runner, place, signal)
  const described: FileSystem = {
    ...fileSystem, label, features, blockSizeBytes: Number(properties['sectorsize']), properties: { ...properties, ...profiles },
    ...place === undefined ? { subvolumes: [] } : await subvolumes(request, place),
  }
  return Number(properties['devices']) > 1 ? { fileSystem: described, unsupportedReason: 'it lies on several devices' } : { fileSystem: described }
}

/** Those that are mounted, the default one, and the ones they lie in; what else there is comes with the files when it is in a mounted one, snapshots do not come at all. */
async function subvolumes({ runner, mounts, report, signal }: BtrfsRequest, place: string): Promise<Pick<FileSystem, 'subvolumes' | 'unmountedSubvolumes'>> {
  const advice = 'Check that btrfs-progs is installed on the source.'
  const known = await orFinding(report, `subvolumes below ${place}`, advice, [], async () => listSubvolumes(runner, place, 'all', signal), signal)
  const chosen = await orFinding(report, `default subvolume of ${place}`, advice, '', async () => defaultSubvolume(runner, place, signal), signal)
  const mounted = new Map(mounts.map(m => [m.fileSystemRoot.replace(/^\//, ''), m]))
  const paths = known.map(s => s.path)
  const kept = neededSubvolumes(paths, [...mounted.keys(), chosen]).slice(0, MAX_SUBVOLUMES)
  const found: Subvolume[] = []
  for (const path of kept) {
    const mount = mounted.get(path)
    const noCow = mount !== undefined && await orFinding(report, mount.mountPoint, 'Check that lsattr works on the source.', false, async () => isNoCow(runner, mount.hostPath, signal), signal)
    found.push({ path, default: path === chosen, noCow })
  }
  const unmounted = unmountedSubvolumes(paths, [...mounted.keys()], chosen).slice(0, MAX_SUBVOLUMES)
  return { subvolumes: found, ...(unmounted.length === 0 ? {} : { unmountedSubvolumes: unmounted }) }
}

/** Of the known subvolumes the wanted ones and those on the way to them, parents first. Pure. */
export function neededSubvolumes(known: readonly string[], wanted: readonly string[]): string[] {
  return known.filter(path => path !== '' && wanted.some(w => w === path || isBelow(w, path))).sort()
}

/**
 * Of the known subvolumes those whose files no mount shows, the outer ones only. One on the way to a mounted one counts as its place, and snapper's snapshots
 * are told as a whole; the default one, from which the server starts, is told wherever it is. Pure. @param mounted what is mounted: subvolumes or directories
 */
export function unmountedSubvolumes(known: readonly string[], mounted: readonly string[], chosen: string): string[] {
  const shown = mounted.filter(m => m === '' || known.includes(m))
  const isCopied = (path: string): boolean => shown.some(m => m === path || (isBelow(path, m) && !SNAPSHOTS.test(m)))
  const isPlace = (path: string): boolean => shown.some(m => isBelow(m, path)) || IN_SNAPSHOTS.test(path)
  const lost = new Set(known.filter(path => path !== '' && !isCopied(path) && (path === chosen || SNAPSHOTS.test(path) || !isPlace(path))))
  const isInner = (path: string): boolean => path.split('/').some((_, depth, parts) => depth > 0 && lost.has(parts.slice(0, depth).join('/')))
  return [...lost].filter(path => path === chosen || !isInner(path)).sort()
}

/** Where snapper keeps its snapshots. */
export const SNAPSHOTS = /(?:^|\/)\.snapshots$/
const IN_SNAPSHOTS = /(?:^|\/)\.snapshots\//

function isBelow(path: string, outer: string): boolean {
  return outer === '' ? path !== '' : path.startsWith(`${outer}/`)
}
