/** What it means for volumes that the machine's mounts are others than before. Pure. */
import { posix } from 'node:path'
import type { Mount } from '../workload/mount-table.ts'

export interface MountsOfVolumes {
  /** where each volume is on this machine */
  volumes: ReadonlyMap<number, string>
  mounts: readonly Mount[]
}

export interface MountChanges {
  /** places below volumes where something was mounted or unmounted: path below the volume's root, and as the source sees it */
  changed: { volume: number, path: string, subject: string }[]
  /** file systems on devices that no volume has, and that were not mounted before anywhere */
  added: Mount[]
}

export function compareMounts(before: MountsOfVolumes, after: MountsOfVolumes): MountChanges {
  const key = (mount: Mount): string => `${mount.hostPath}\0${mount.majorMinor}\0${mount.fileSystemRoot}`
  const [old, now] = [new Set(before.mounts.map(key)), new Set(after.mounts.map(key))]
  const differing = [...before.mounts.filter(mount => !now.has(key(mount))), ...after.mounts.filter(mount => !old.has(key(mount)))]
  const changed = new Map<string, MountChanges['changed'][number]>()
  for (const { hostPath, mountPoint } of differing) {
    const volume = volumeAround(after.volumes, hostPath)
    if (volume !== undefined) changed.set(hostPath, { ...volume, subject: mountPoint })
  }
  const known = new Set(before.mounts.map(({ majorMinor }) => majorMinor))
  const added = new Map<string, Mount>()
  for (const mount of after.mounts) {
    if (!known.has(mount.majorMinor) && isOnDevice(mount) && !added.has(mount.majorMinor)) added.set(mount.majorMinor, mount)
  }
  return { changed: [...changed.values()], added: [...added.values()] }
}

/** The innermost volume that the path lies in, not being its root. */
function volumeAround(volumes: ReadonlyMap<number, string>, path: string): { volume: number, path: string } | undefined {
  let found: { volume: number, path: string } | undefined
  for (const [volume, root] of volumes) {
    if (path === root) return undefined
    const below = posix.relative(root, path)
    if (below.startsWith('..') || below.startsWith('/')) continue
    if (found === undefined || below.length < found.path.length) found = { volume, path: below }
  }
  return found
}

function isOnDevice({ source }: Mount): boolean {
  return source.startsWith('/dev/')
}
