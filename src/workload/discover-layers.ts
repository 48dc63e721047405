/** What lies between the disks and the volumes: LVM, software RAID, encryption, multipath. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { probeDevice } from '../command/blkid.ts'
import { readCryptMapping } from '../command/cryptsetup.ts'
import type { BlockDevice } from '../command/lsblk.ts'
import { listVolumeGroups, mapNameOf } from '../command/lvm.ts'
import { readArray } from '../command/mdadm.ts'
import type { Runner } from '../command/runner.ts'
import type { DiskArray, Encryption, Layers, Multipath, VolumeGroup } from '../domain/layer.ts'
import { deviceNameOf, isArray, isDisk, type ByKernelName } from './device-name.ts'
import { isSystemError, orFinding, type Report } from './findings.ts'
import type { KernelPlaces } from './kernel-places.ts'

export interface LayersRequest {
  runner: Runner
  /** the devices on the source's disks */
  devices: readonly BlockDevice[]
  kernel: KernelPlaces
  report: Report
  signal: AbortSignal
}

/** The layers, and the names of all devices by their kernel names. */
export async function discoverLayers(request: LayersRequest): Promise<{ layers: Layers, names: ReadonlyMap<string, string> }> {
  const { runner, devices, report, signal } = request
  const groups = devices.some(d => d.type === 'lvm')
    ? await orFinding(report, 'volume groups', 'Check that lvm2 is installed on the source and that "vgs" works.', [], async () => listVolumeGroups(runner, signal), signal)
    : []
  const logical = new Map(groups.flatMap(g => g.logicalVolumes.map(v => [mapNameOf(g.name, v.name), `${g.name}/${v.name}`] as const)))
  const names = new Map(devices.map(d => [d.kernelName, deviceNameOf(d, logical)]))
  const byPath = new Map(devices.flatMap(d => [[d.path, d], [`/dev/mapper/${d.name}`, d]] as const))
  const nameOf = (path: string): string => { const found = byPath.get(path); return found === undefined ? '' : names.get(found.kernelName) ?? '' }
  const byName: ByKernelName = new Map(devices.map(d => [d.kernelName, d]))
  const arrays: DiskArray[] = []
  const encryptions: Encryption[] = []
  const multipaths: Multipath[] = []
  for (const device of devices) {
    const below = device.parents.map(parent => names.get(parent) ?? parent)
    if (device.type === 'mpath') multipaths.push({ name: device.name, wwid: await mapUuid(device, request.kernel), paths: below })
    if (isArray(device) && !isDisk(device, byName)) arrays.push(await describeArray(device, below, request))
    if (device.type === 'crypt') encryptions.push(await describeEncryption(device, below[0] ?? '', byName, request))
  }
  return { layers: { volumeGroups: groups.filter(g => isOfSource(g, nameOf)).map(g => named(g, nameOf)), arrays, encryptions, multipaths }, names }
}

/** Groups on other disks (a guest's image that is attached) are not the source's. */
function isOfSource(group: VolumeGroup, nameOf: (path: string) => string): boolean {
  return group.physicalVolumes.some(p => nameOf(p.on) !== '')
}

function named(group: VolumeGroup, nameOf: (path: string) => string): VolumeGroup {
  return {
    ...group, physicalVolumes: group.physicalVolumes.map(p => ({ ...p, on: nameOf(p.on) })),
    logicalVolumes: group.logicalVolumes.map(v => ({ ...v, segments: v.segments.map(s => ({ ...s, on: s.on.map(nameOf) })) })),
  }
}

async function describeArray(device: BlockDevice, members: readonly string[], { runner, report, signal }: LayersRequest): Promise<DiskArray> {
  const bare = { level: device.type, metadata: '', uuid: '', members: [] }
  const { level, metadata, uuid } = await orFinding(report, `array ${device.kernelName}`, 'Check that mdadm is installed on the source.', bare, async () => readArray(runner, device.path, signal), signal)
  return { name: device.kernelName, uuid, level, metadata, sizeBytes: device.sizeBytes, members: [...members] }
}

async function describeEncryption(device: BlockDevice, on: string, byName: ByKernelName, { runner, report, signal }: LayersRequest): Promise<Encryption> {
  const advice = 'Check that cryptsetup is installed on the source.'
  const mapping = await orFinding(report, `encryption ${device.name}`, advice, { type: '', cipher: '', keyBits: 0, device: '' }, async () => readCryptMapping(runner, device.name, signal), signal)
  const container = byName.get(device.parents[0] ?? '')
  const none = { uuid: '', label: '' }
  const { uuid, label } = container === undefined ? none : await orFinding(report, container.path, 'Check that blkid can read the device.', none, async () => probeDevice(runner, container.path, signal), signal)
  return { name: device.name, on, type: mapping.type, uuid, label, cipher: mapping.cipher, keyBits: mapping.keyBits, sizeBytes: device.sizeBytes }
}

/** "mpath-3600508b400105e210000900000490000" */
async function mapUuid(device: BlockDevice, kernel: KernelPlaces): Promise<string> {
  try {
    return (await readFile(join(kernel.sys, 'block', device.kernelName, 'dm/uuid'), 'utf8')).trim().replace(/^mpath-/, '')
  } catch (error) {
    if (!isSystemError(error)) throw error
    return ''
  }
}
