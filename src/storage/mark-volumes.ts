/** The ids on the roots of mounted volumes. A volume's device is looked at again, and the root is held while it is read and written. */
import { AppError } from '../errors/app-error.ts'
import { readMark, VOLUME_MARK, writeMark } from '../posix/marks.ts'
import { closeTree, openTree, type TreeHandle } from '../posix/posix.ts'
import { showsVolume } from './mount-volumes.ts'
import { mountAt } from '../posix/mount-table.ts'
import type { MountedVolume } from './volume-stack.ts'

/** Makes the mark of each volume its id, or takes it away. @throws {AppError} REPLICA_ROOT_FOREIGN before anything is written */
export async function markVolumes(mounted: readonly MountedVolume[], marked: boolean): Promise<void> {
  const roots: { tree: TreeHandle, volumeId: string, found?: string }[] = []
  try {
    for (const { volume, device, mountPoint, volumeId } of mounted) {
      const at = await mountAt(mountPoint)
      if (!await showsVolume(at, device, volume)) {
        throw new AppError('REPLICA_ROOT_FOREIGN', `${mountPoint} does not show ${device} (${volume.volume.name}); nothing was written`)
      }
      const root: (typeof roots)[number] = { tree: await openTree(mountPoint, 'replica'), volumeId }
      roots.push(root)
      const found = await readMark(root.tree, VOLUME_MARK)
      if (found === undefined) continue
      root.found = found
      if (found !== volumeId) {
        throw new AppError('REPLICA_ROOT_FOREIGN', `${device} (${volume.volume.name}) is volume ${JSON.stringify(found)}, not ${volumeId}; nothing was written`)
      }
    }
    for (const { tree, volumeId, found } of roots) {
      const wanted = marked ? volumeId : undefined
      if (found !== wanted) await writeMark(tree, VOLUME_MARK, wanted)
    }
  } finally {
    for (const { tree } of roots) closeTree(tree)
  }
}
