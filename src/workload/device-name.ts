/** The names by which layers and volumes refer to devices (domain/layer.ts). Pure. */
import type { BlockDevice } from '../command/lsblk.ts'

export type ByKernelName = ReadonlyMap<string, BlockDevice>

/** Whether it stands for a whole disk: no parents, a multipath map, or an array of whole disks that is partitioned (a BIOS RAID). */
export function isDisk(device: BlockDevice, byName: ByKernelName): boolean {
  if (device.parents.length === 0 || device.type === 'mpath') return true
  if (!isArray(device) || device.parents.some(p => (byName.get(p)?.type ?? 'disk') !== 'disk')) return false
  return [...byName.values()].some(d => d.parents.includes(device.kernelName) && d.type === 'part')
}

export function isArray({ type }: BlockDevice): boolean {
  return /^raid\d+$/.test(type) || type === 'linear'
}

/** @param logical name of a map -> "group/volume" */
export function deviceNameOf(device: BlockDevice, logical: ReadonlyMap<string, string>): string {
  return device.type === 'lvm' ? logical.get(device.name) ?? device.name : isMap(device) ? device.name : device.kernelName
}

/** Stable path of the node: device-mapper numbers change from boot to boot. */
export function devicePathOf(device: BlockDevice): string {
  return isMap(device) ? `/dev/mapper/${device.name}` : device.path
}

function isMap(device: BlockDevice): boolean {
  return device.kernelName.startsWith('dm-') && device.name !== device.kernelName
}
