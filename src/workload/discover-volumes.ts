/** The volumes of the source: what is mounted, what is swapped to, and what lies unmounted on its disks. */
import type { BlockDevice } from '../command/lsblk.ts'
import type { Runner } from '../command/runner.ts'
import { partitionNumber } from '../command/sfdisk.ts'
import type { Disk, FileSystem, Volume } from '../domain/volume.ts'
import { SNAPSHOTS } from './describe-btrfs.ts'
import { describeFileSystem } from './describe-file-system.ts'
import { devicePathOf } from './device-name.ts'
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
  /** names of devices by kernel name, as layers call them */
  names: ReadonlyMap<string, string>
  mounts: readonly Mount[]
  kernel: KernelPlaces
  report: Report
  signal: AbortSignal
}

/** Without these a server does not start: always part of a job. */
const REQUIRED = new Set(['/', '/boot', '/boot/efi', '/efi', '/usr'])

/** Layers that the replica can do without or be given, see domain/layer.ts. */
const KNOWN_LAYERS = /^(?:lvm|crypt|mpath|raid\d+|linear)$/
/** What a device holds for other devices, not for files. */
const CONTAINERS = new Set(['LVM2_member', 'crypto_LUKS', 'linux_raid_member', 'mpath_member', 'zfs_member', 'ceph_bluestore'])

/** Mounted volumes by mount point, then the others by device. */
export async function discoverVolumes(request: VolumesRequest): Promise<Volume[]> {
  const { devices, mounts, kernel, report } = request
  const shown = new Map<BlockDevice, Mount[]>()
  for (const mount of mounts) {
    const device = await deviceOfMount(mount, devices, kernel)
    if (device === undefined) continue
    const known = shown.get(device) ?? []
    known.push(mount)
    shown.set(device, known)
  }
  const found: Volume[] = []
  for (const device of devices) found.push(...await describeVolumes(device, (shown.get(device) ?? []).sort((a, b) => rank(a) - rank(b)), request))
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

/** The volumes on a device: one, or of a btrfs each mounted subvolume. */
async function describeVolumes(device: BlockDevice, mounts: readonly Mount[], request: VolumesRequest): Promise<Volume[]> {
  const { runner, report, signal, devices, disks, names } = request
  const children = devices.filter(d => d.parents.includes(device.kernelName))
  const [mount] = mounts
  if (mount === undefined && (children.length > 0 || isHidden(device, names))) return []
  const described = await describeFileSystem({ runner, device: device.path, mounts, report, signal })
  if (described === undefined) return []
  const { fileSystem } = described
  const { reason, ...where } = place(device, devices, disks, names)
  const volumeOf = (shown: Mount | undefined, own?: { subvolume: string, reason: string | undefined }): Volume => {
    const unsupportedReason = reason ?? described.unsupportedReason ?? (own === undefined ? mountReason(shown, fileSystem.type, fileSystem.typeName) : own.reason)
    return {
      name: shown?.mountPoint ?? (fileSystem.type === 'swap' && fileSystem.uuid !== '' ? `swap-${fileSystem.uuid}` : where.on ?? device.kernelName),
      device: devicePathOf(device), ...(shown === undefined ? {} : { mountPoint: shown.mountPoint }), mountOptions: shown?.options ?? '',
      sizeBytes: device.sizeBytes, fileSystem, ...where, ...(own === undefined ? {} : { subvolume: own.subvolume }),
      required: shown !== undefined && REQUIRED.has(shown.mountPoint), ...(unsupportedReason === undefined ? {} : { unsupportedReason }),
    }
  }
  const subvolumes = fileSystem.type === 'btrfs' ? mountedSubvolumes(mounts, fileSystem) : []
  return subvolumes.length === 0 ? [volumeOf(mount)] : subvolumes.map(s => volumeOf(s.mount, { subvolume: s.path, reason: SNAPSHOTS.test(s.path) ? SNAPSHOTS_STAY : undefined }))
}

const SNAPSHOTS_STAY = 'snapshots are not copied, nor what snapper knows of them, nor quota groups; its subvolume is made empty'

/** Each mounted subvolume once, by the mount that comes first; directories that are mounted by themselves are no subvolumes. */
function mountedSubvolumes(mounts: readonly Mount[], { subvolumes = [] }: FileSystem): { path: string, mount: Mount }[] {
  const found = new Map<string, Mount>()
  for (const mount of mounts) {
    const path = mount.fileSystemRoot.replace(/^\//, '')
    if ((path === '' || subvolumes.some(s => s.path === path)) && !found.has(path)) found.set(path, mount)
  }
  return [...found].map(([path, mount]) => ({ path, mount }))
}

/** A part of a logical volume (an image of a mirror, the data of a pool). */
function isHidden(device: BlockDevice, names: ReadonlyMap<string, string>): boolean {
  return device.type === 'lvm' && names.get(device.kernelName)?.includes('/') !== true && [...names.values()].some(name => name.includes('/') && !name.startsWith('cciss/'))
}

/** On which disk and partition a device lies, what it lies on else, and why its replica cannot be laid out when that is so. */
function place(device: BlockDevice, devices: readonly BlockDevice[], disks: readonly Disk[], names: ReadonlyMap<string, string>): { disk: string, partition: number, on?: string, reason?: string } {
  const byName = new Map(devices.map(d => [d.kernelName, d]))
  const top = disksBelow(device, byName)[0]
  const disk = top === undefined ? device.kernelName : top.type === 'mpath' ? top.name : top.kernelName
  const carrier = partitionBelow(device, byName)
  const partition = carrier === undefined ? 0 : partitionNumber(disk, disk === top?.name ? carrier.name : carrier.kernelName)
  if (device.type !== 'part' && device !== top) {
    const on = names.get(device.kernelName) ?? device.kernelName
    return { disk, partition, on, ...(KNOWN_LAYERS.test(device.type) ? {} : { reason: `devices of type ${device.type} cannot be migrated` }) }
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
