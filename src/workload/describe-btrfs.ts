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
    subvolumes: place === undefined ? [] : await subvolumes(request, place),
  }
  return Number(properties['devices']) > 1 ? { fileSystem: described, unsupportedReason: 'it lies on several devices' } : { fileSystem: described }
}

/** Those that are mounted, the default one, and the ones they lie in; what else there is comes with the files, snapshots do not come at all. */
async function subvolumes({ runner, mounts, report, signal }: BtrfsRequest, place: string): Promise<Subvolume[]> {
  const advice = 'Check that btrfs-progs is installed on the source.'
  const known = await orFinding(report, `subvolumes below ${place}`, advice, [], async () => listSubvolumes(runner, place, 'all', signal), signal)
  const chosen = await orFinding(report, `default subvolume of ${place}`, advice, '', async () => defaultSubvolume(runner, place, signal), signal)
  const mounted = new Map(mounts.map(m => [m.fileSystemRoot.replace(/^\//, ''), m]))
  const kept = neededSubvolumes(known.map(s => s.path), [...mounted.keys(), chosen]).slice(0, MAX_SUBVOLUMES)
  const found: Subvolume[] = []
  for (const path of kept) {
    const mount = mounted.get(path)
    const noCow = mount !== undefined && await orFinding(report, mount.mountPoint, 'Check that lsattr works on the source.', false, async () => isNoCow(runner, mount.hostPath, signal), signal)
    found.push({ path, default: path === chosen, noCow })
  }
  return found
}

/** Of the known subvolumes the wanted ones and those on the way to them, parents first. Pure. */
function neededSubvolumes(known: readonly string[], wanted: readonly string[]): string[] {
  return known.filter(path => path !== '' && wanted.some(w => w === path || w.startsWith(`${path}/`))).sort()
}
