/**
 * Disks into mounted file systems, on the appliance: partition tables, mkfs with the source's identity, mounts in a private place, and back.
 * Every step looks first and makes what is missing, so a step may be repeated after a crash. It never touches a disk whose content is not
 * blank or the planned layout.
 */
import type { PlannedDisk, PlannedEncryption, PlannedVolume, PlannedVolumeGroup, ReplicaPlan } from '../domain/replica.ts'

export interface MountedVolume {
  volume: PlannedVolume
  device: string
  mountPoint: string
  /** says on the volume's own root whose it is (`mark`) */
  volumeId: string
}

/** A volume group of a plan, and the devices of its physical volumes in their order; to hand over: the partitions, also where a physical volume lies in a container. */
export interface PlacedGroup { group: PlannedVolumeGroup, devices: readonly string[] }

/** A container of one job, and the partition, disk or logical volume that it fills. */
export interface EncryptedPlace { jobId: string, device: string, encryption: PlannedEncryption }

export interface ReleaseOptions {
  /** false leaves the check of the file systems out: the disks are thrown away */
  check?: boolean
  /** All checks together may take so long; left out: as long as they like. */
  checkMs?: number
  /** groups that get their final names and identifiers once they are closed and passed the check; nothing of them is shown then */
  handOver?: readonly PlacedGroup[]
}

/** One volume of one job, among all volumes of all jobs. */
export function volumeIdOf(jobId: string, index: number): string {
  return `${jobId}/${String(index)}`
}

export interface VolumeStack extends AsyncDisposable {
  /** Waits until the disk with this UUID (32 hex digits) is in the appliance; gives its block device. @throws {AppError} DISK_NOT_FOUND after 60 s */
  deviceOf(diskUuid: string, signal: AbortSignal): Promise<string>
  /**
   * Partitions a blank disk as planned; nothing when it is so already.
   * @throws {AppError} VOLUME_LAYOUT when the disk holds something else
   */
  partition(device: string, disk: PlannedDisk, signal: AbortSignal): Promise<void>
  /**
   * Makes the LUKS container with the source's identity on a blank device, and opens it; what is there, or open, is only opened. `release` closes it.
   * @returns the device of what is inside
   * @throws {AppError} VOLUME_LAYOUT when the device holds something else, or the passphrase is another one; SOURCE_UNSUPPORTED when it cannot be made; TOOL_FAILED
   */
  openEncrypted(place: EncryptedPlace, passphrase: string, signal: AbortSignal): Promise<string>
  /**
   * Makes the volume group and shows its logical volumes, under its temporary name and identifiers: a clone of it may be here at once. What is there
   * is only shown; a group that has its final ones (of a cutover that was undone) gets the temporary ones again. Nothing else ever shows them.
   * @returns the device of each logical volume, by its name
   * @throws {AppError} VOLUME_LAYOUT when a device holds something else, nothing was written then; SOURCE_UNSUPPORTED when LVM would not take it; TOOL_FAILED
   */
  openGroup(placed: PlacedGroup, signal: AbortSignal): Promise<ReadonlyMap<string, string>>
  /**
   * Makes the file system or swap on the volume's own device (of its partition or logical volume) with the source's UUID, label and features; nothing when it is there.
   * @throws {AppError} VOLUME_LAYOUT when it holds something else, SOURCE_UNSUPPORTED for a type that cannot be made, TOOL_FAILED
   */
  format(device: string, volume: PlannedVolume, signal: AbortSignal): Promise<void>
  /**
   * Mounts each volume (device = its own device; swap is passed over) at its own place, never nested, with nosuid, noexec and nodev: device
   * nodes are made there but never opened. Idempotent; jobId names the place. Where a volume is not mounted its place cannot be written.
   * @throws {AppError} VOLUME_LAYOUT when a device does not hold the volume's file system
   */
  mount(jobId: string, volumes: readonly { device: string, volume: PlannedVolume }[], signal: AbortSignal): Promise<readonly MountedVolume[]>
  /**
   * Writes each volume's id on its root, so that whoever opens it for writing can tell it from everything else: a directory below a mount that
   * is gone, a volume of another job. Fine when it is there already. Disks that are kept when their job is deleted keep the mark.
   * @throws {AppError} REPLICA_ROOT_FOREIGN when a volume bears another id, or is not mounted; nothing is marked then
   */
  mark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void>
  /** Takes the ids away: the volumes are handed over and must be what the source is. Fine when there are none. @throws {AppError} REPLICA_ROOT_FOREIGN as `mark` */
  unmark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void>
  /**
   * Assembles the volumes as the replica will see them (root, /boot, /data ... nested) for the boot fix-ups, with a /dev that shows `disks`
   * and the disks of the mounted volumes and nothing else (logical volumes by their final names), a read-only /sys without firmware, and empty /run and /tmp; returns the root.
   * Missing mount points are made, and with `plainDev` the device nodes that a system without devtmpfs opens before it has any other. Idempotent. @throws {AppError} VOLUME_LAYOUT when there is no root or a mount point is no directory
   */
  assemble(jobId: string, mounted: readonly MountedVolume[], disks: readonly string[], signal: AbortSignal, options?: { plainDev?: boolean }): Promise<string>
  /** Undoes assemble; the volumes stay mounted at their own places. Fine when nothing is assembled. */
  disassemble(jobId: string, signal: AbortSignal): Promise<void>
  /**
   * Undoes assemble and mount of the job, checks the file systems on the disks of `devices` (whole disks or volumes on them) read-only, flushes
   * them, and makes the kernel forget their logical volumes and partitions; fine when nothing is mounted.
   * @throws {AppError} VOLUME_DAMAGED when a file system does not pass, nothing is handed over then; VOLUME_LAYOUT when a group to hand over is not there;
   * MOUNT_FAILED when a volume stays busy
   * @returns the file systems whose check did not end within `checkMs`
   */
  release(jobId: string, devices: readonly string[], signal: AbortSignal, options?: ReleaseOptions): Promise<readonly string[]>
}

/** Partition `number` of a disk's device; the disk itself for 0. */
export function partitionDevice(device: string, number: number): string {
  if (number === 0) return device
  return /[0-9]$/.test(device) ? `${device}p${String(number)}` : `${device}${String(number)}`
}

/** The volume groups of the plan on its disks, which are given in their order. */
export function placedGroups({ volumeGroups = [] }: Pick<ReplicaPlan, 'volumeGroups'>, disks: readonly string[]): readonly PlacedGroup[] {
  return volumeGroups.map(group => ({ group, devices: group.physicalVolumes.map(p => partitionDevice(disks[p.disk] ?? '', p.partition)) }))
}
