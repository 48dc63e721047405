/** The disks of the source and what they hold. */
import { stat } from 'node:fs/promises'
import type { BlockDevice } from '../command/lsblk.ts'
import { probeDevice } from '../command/blkid.ts'
import type { Runner } from '../command/runner.ts'
import { readPartitionTable } from '../command/sfdisk.ts'
import type { Disk } from '../domain/volume.ts'
import { devicePathOf, isDisk, type ByKernelName } from './device-name.ts'
import { isSystemError, orFinding, type Report } from './findings.ts'
import type { KernelPlaces } from './kernel-places.ts'
import type { Mount } from './mount-table.ts'

export interface DisksRequest {
  runner: Runner
  devices: readonly BlockDevice[]
  mounts: readonly Mount[]
  /** the agent runs on the source itself: every disk of the machine is the source's */
  live: boolean
  kernel: KernelPlaces
  report: Report
  signal: AbortSignal
}

/** Kernel memory, images and media that are no disks of a server. */
const NO_DISK = /^(?:zram|ram|loop|nbd|fd|sr)\d|^mmcblk\d+boot/

/** The disks, and the devices on them (the disks too), parents before children. */
export async function discoverDisks(request: DisksRequest): Promise<{ disks: Disk[], below: BlockDevice[] }> {
  const { devices, mounts, live, kernel, report } = request
  const byName: ByKernelName = new Map(devices.map(d => [d.kernelName, d]))
  // the paths of a multipath map and the members of a BIOS RAID are no disks of their own
  const covered = new Set(devices.filter(d => d.parents.length > 0 && isDisk(d, byName)).flatMap(d => d.parents))
  const wanted = new Set<string>()
  for (const mount of mounts) {
    const device = await deviceOfMount(mount, devices, kernel)
    if (device === undefined) {
      reportMount(mount, report)
      continue
    }
    for (const disk of disksBelow(device, byName)) if (!live || !NO_DISK.test(disk.kernelName)) wanted.add(disk.kernelName)
  }
  if (live) {
    const own = (d: BlockDevice): boolean => d.type === 'disk' ? !d.removable && !NO_DISK.test(d.kernelName) : d.parents.length > 0
    for (const d of devices) if (isDisk(d, byName) && own(d)) wanted.add(d.kernelName)
  }
  for (const name of covered) wanted.delete(name)
  const roots = devices.filter(d => wanted.has(d.kernelName))
  const disks: Disk[] = []
  for (const device of roots) disks.push(await describeDisk(device, request))
  return { disks, below: devices.filter(d => disksBelow(d, byName).some(top => wanted.has(top.kernelName))) }
}

/** The device that a mount shows: by number; btrfs has numbers of its own, there the node that it names counts. */
export async function deviceOfMount(mount: Mount, devices: readonly BlockDevice[], kernel: KernelPlaces): Promise<BlockDevice | undefined> {
  const direct = devices.find(d => d.majorMinor === mount.majorMinor)
  if (direct !== undefined || !mount.source.startsWith('/dev/')) return direct
  try {
    const node = await stat(mount.source.replace(/^\/dev/, kernel.dev), { bigint: true })
    if (!node.isBlockDevice()) return undefined
    const { rdev } = node
    // the kernel's split of a device number, see makedev(3)
    const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)
    const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)
    return devices.find(d => d.majorMinor === `${String(major)}:${String(minor)}`)
  } catch (error) {
    if (!isSystemError(error)) throw error
    return devices.find(d => d.path === mount.source)
  }
}

/** The disks that `device` lies on: itself when it is one. */
export function disksBelow(device: BlockDevice, byName: ByKernelName, seen = new Set<string>()): BlockDevice[] {
  if (seen.has(device.kernelName)) return []
  seen.add(device.kernelName)
  if (isDisk(device, byName)) return [device]
  const parents = device.parents.flatMap(name => byName.get(name) ?? [])
  return parents.length === 0 ? [device] : parents.flatMap(p => disksBelow(p, byName, seen))
}

async function describeDisk(device: BlockDevice, request: DisksRequest): Promise<Disk> {
  const { runner, report, signal } = request
  const path = devicePathOf(device)
  const bare: Disk = { name: device.type === 'mpath' ? device.name : device.kernelName, sizeBytes: device.sizeBytes, sectorSizeBytes: device.sectorSizeBytes, table: 'none', tableId: '', partitions: [] }
  return orFinding(report, `partition table of ${path}`, 'Only GPT and MBR partition tables can be migrated.', bare, async () => {
    const signature = await probeDevice(runner, path, signal)
    return signature.partitionTable === '' ? bare : { ...bare, ...await readPartitionTable(runner, path, signal) }
  }, signal)
}

const NETWORK_TYPES = /^(?:nfs4?|cifs|smb3|smbfs|9p|ceph|glusterfs|lustre|afs|ocfs2|gfs2|fuse[.](?:sshfs|glusterfs|ceph|s3fs|rclone|davfs2?))$/
const STACKED_TYPES = /^(?:overlay|aufs|ecryptfs|zfs|unionfs|mergerfs|fuse[.].*|fuseblk)$/
/** fuse mounts that hold no data of anybody */
const VIRTUAL_FUSE = /^fuse[.](?:lxcfs|gvfsd-fuse|portal|snapfuse)$/
/** Layers of containers lie on a volume that is copied. */
const CONTAINER_PLACES = /^\/(?:var\/lib\/(?:docker|containers|containerd|kubelet|lxc|lxd|rancher)|run|var\/run|snap)\//

/** Mounts without a device: virtual file systems are nothing to tell; data that stays elsewhere is. */
function reportMount({ mountPoint, type, source }: Mount, report: Report): void {
  if (NETWORK_TYPES.test(type)) {
    report({
      code: 'NETWORK_MOUNT', severity: 'warning', subject: mountPoint, message: `${mountPoint} is mounted from ${source} (${type}); its files stay there and are not copied`,
      advice: 'Check that the replica can reach it from its network.',
    })
    return
  }
  if (mountPoint === '/') {
    report({
      code: 'ROOT_VOLUME_UNKNOWN', severity: 'error', subject: '/', message: `the root file system (${type} from ${source}) lies on no disk of the source`,
      advice: 'A source that runs from memory, the network or a stacked file system cannot be migrated.',
    })
    return
  }
  if (!STACKED_TYPES.test(type) || VIRTUAL_FUSE.test(type) || CONTAINER_PLACES.test(`${mountPoint}/`)) return
  report({
    code: 'FILE_SYSTEM_STACKED', severity: 'warning', subject: mountPoint, message: `${mountPoint} (${type} from ${source}) lies on another file system and is not copied as such`,
    advice: 'Check whether what lies below it is on a volume of the job.',
  })
}
