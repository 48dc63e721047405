/** The volumes of the source: what is mounted, what is swapped to, and what lies unmounted on its disks. */
import type { BlockDevice } from '../command/lsblk.ts'
import type { Runner } from '../command/runner.ts'
import { partitionNumber } from '../command/sfdisk.ts'
import type { Disk, Volume } from '../domain/volume.ts'
import { describeFileSystem } from './describe-file-system.ts'
import { deviceOfMount, disksBelow } from './discover-disks.ts'
import type { Report } from './findings.ts'
import type { KernelPlaces } from './kernel-places.ts'
import type { Mount } from './mount-table.ts'

export interface VolumesRequest {
  runner: Runner
  /** the source's root as we see it */
  root: string
  /** the devices on the source's disks */
  devices: readonly BlockDevice[]
  disks: readonly Disk[]
  mounts: readonly Mount[]
  kernel: KernelPlaces
  report: Report
  signal: AbortSignal
}

/** Without these a server does not start: always part of a job. */
const REQUIRED = new Set(['/', '/boot', '/boot/efi', '/efi', '/usr'])

const LATER: Readonly<Record<string, string>> = {
  lvm: 'logical volumes cannot be migrated yet', crypt: 'encrypted volumes cannot be migrated yet', mpath: 'multipath devices cannot be migrated yet',
}
/** What a device holds for other devices, not for files. */
const CONTAINERS = new Set(['LVM2_member', 'crypto_LUKS', 'linux_raid_member', 'mpath_member', 'zfs_member', 'ceph_bluestore'])

/** Mounted volumes by mount point, then the others by device. */
export async function discoverVolumes(request: VolumesRequest): Promise<Volume[]> {
  const { devices, mounts, kernel, report } = request
  const shown = new Map<BlockDevice, Mount>()
  for (const mount of mounts) {
    const device = await deviceOfMount(mount, devices, kernel)
    if (device === undefined) continue
    const before = shown.get(device)
    if (before === undefined || rank(mount) < rank(before)) shown.set(device, mount)
  }
  const found: Volume[] = []
  for (const device of devices) {
    const volume = await describeVolume(device, shown.get(device), request)
    if (volume !== undefined) found.push(volume)
  }
  if (!found.some(v => v.mountPoint === '/')) {
    report({
      code: 'ROOT_VOLUME_UNKNOWN', severity: 'error', subject: '/', message: `no volume of the source is mounted at ${request.root}`,
      advice: 'Check that the agent runs on the source itself and as root.',
    })
  }
  const key = (v: Volume): string => v.mountPoint ?? `\uffff${v.device}`
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** Of several mounts of one device: the whole before a part (bind mount, subvolume), the root before others, the shorter path. */
function rank(mount: Mount): number {
  return (mount.fileSystemRoot === '/' ? 0 : 1 << 20) + (mount.mountPoint === '/' ? 0 : mount.mountPoint.length)
}

async function describeVolume(device: BlockDevice, mount: Mount | undefined, request: VolumesRequest): Promise<Volume | undefined> {
  const { runner, report, signal, devices, disks } = request
  const children = devices.filter(d => d.parents.includes(device.kernelName))
  if (mount === undefined && children.length > 0) return undefined
  const described = await describeFileSystem({ runner, device: device.path, hostPath: mount?.hostPath, mountedType: mount?.type ?? '', report, signal })
  if (described === undefined) return undefined
  const { fileSystem } = described
  const { disk, partition, reason } = place(device, devices, disks)
  const unsupportedReason = reason ?? described.unsupportedReason ?? mountReason(mount, fileSystem.type, fileSystem.typeName)
  return {
    name: mount?.mountPoint ?? (fileSystem.type === 'swap' && fileSystem.uuid !== '' ? `swap-${fileSystem.uuid}` : device.kernelName),
    device: device.path, ...(mount === undefined ? {} : { mountPoint: mount.mountPoint }), mountOptions: mount?.options ?? '',
    sizeBytes: device.sizeBytes, fileSystem, disk, partition, required: mount !== undefined && REQUIRED.has(mount.mountPoint),
    ...(unsupportedReason === undefined ? {} : { unsupportedReason }),
  }
}

/** On which disk and partition a device lies, and why its replica cannot be laid out when that is so. */
function place(device: BlockDevice, devices: readonly BlockDevice[], disks: readonly Disk[]): { disk: string, partition: number, reason?: string } {
  const byName = new Map(devices.map(d => [d.kernelName, d]))
  const tops = disksBelow(device, byName)
  const disk = tops[0]?.kernelName ?? device.kernelName
  const carrier = partitionBelow(device, byName)
  const partition = carrier === undefined ? 0 : partitionNumber(disk, carrier.kernelName)
  if (device.type !== 'part' && device.parents.length > 0) {
    const reason = device.type.startsWith('raid') || device.type === 'linear' ? 'software RAID cannot be migrated yet' : LATER[device.type] ?? `devices of type ${device.type} cannot be migrated yet`
    return { disk, partition, reason }
  }
  if (carrier === undefined) return { disk, partition }
  const known = disks.find(d => d.name === disk)?.partitions.some(p => p.number === partition) ?? false
  return known ? { disk, partition } : { disk, partition, reason: `the partition table of ${disk} does not list it` }
}

function partitionBelow(device: BlockDevice, byName: ReadonlyMap<string, BlockDevice>, depth = 0): BlockDevice | undefined {
  if (device.type === 'part' || depth > 16) return device.type === 'part' ? device : undefined
  const parent = byName.get(device.parents[0] ?? '')
  return parent === undefined ? undefined : partitionBelow(parent, byName, depth + 1)
}

function mountReason(mount: Mount | undefined, type: Volume['fileSystem']['type'], typeName: string): string | undefined {
  if (CONTAINERS.has(typeName)) return `${typeName} is not in use`
  if (type === 'swap') return undefined
  if (mount === undefined) return 'it is not mounted: mount it if it is to be migrated'
  return mount.fileSystemRoot === '/' ? undefined : `only its directory ${mount.fileSystemRoot} is mounted`
}
