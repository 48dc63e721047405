/** For an appliance that is a process of this machine: an attached disk is a loop device, found by the disk's UUID in a directory of links. */
import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskPlug } from './disk-plug.ts'
import { attachLoop, detachLoop, mountsOf, type LoopDevice } from './loop-devices.ts'
import type { RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'
import type { LabDisk } from './vcsim.ts'

export interface LoopDiskPlug extends DiskPlug {
  /** directory with a link to the block device of each attached disk, named by the disk's UUID (32 hex digits) */
  readonly devices: string
}

export async function createLoopDiskPlug(run: RunDirectory): Promise<LoopDiskPlug> {
  const devices = join(run.path, 'devices')
  await mkdir(devices)
  const loops = new Map<string, LoopDevice>()
  const loopOf = (disk: LabDisk): LoopDevice => {
    const loop = loops.get(disk.fileName)
    if (loop === undefined) throw new Error(`${disk.fileName} is not attached`)
    return loop
  }
  return {
    devices,
    attach: async (disk, file) => {
      const loop = await attachLoop(file)
      loops.set(disk.fileName, loop)
      await rm(join(devices, disk.uuid), { force: true })
      await symlink(loop.device, join(devices, disk.uuid))
    },
    usesOf: async (disk) => {
      const { device } = loopOf(disk)
      return (await mountsOf(device)).map(place => `${device} is mounted at ${place}`)
    },
    detach: async (disk) => {
      const loop = loopOf(disk)
      await rm(join(devices, disk.uuid), { force: true })
      await tool('blockdev', ['--flushbufs', loop.device])
      await detachLoop(loop)
      loops.delete(disk.fileName)
    },
    [Symbol.asyncDispose]: async () => {
      for (const loop of loops.values()) if ((await mountsOf(loop.device)).length === 0) await detachLoop(loop)
    },
  }
}
