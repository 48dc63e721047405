/** Which volume of a job holds a path of the replica. Pure. */
import type { MountedVolume } from '../storage/volume-stack.ts'

/** The volume that is mounted nearest above, and the path in it; undefined when no volume of the job holds it. */
export function volumeHolding(mounted: readonly MountedVolume[], path: string): { volume: MountedVolume, path: string } | undefined {
  const above = mounted.flatMap(volume => {
    const mountPoint = volume.volume.volume.mountPoint?.replace(/\/$/, '')
    return mountPoint === undefined || !`${path.replace(/\/$/, '')}/`.startsWith(`${mountPoint}/`) ? [] : [{ volume, mountPoint }]
  })
  const [nearest] = above.sort((a, b) => b.mountPoint.length - a.mountPoint.length)
  return nearest === undefined ? undefined : { volume: nearest.volume, path: path.slice(nearest.mountPoint.length) }
}
