/**
 * Disks into mounted file systems, on the appliance: partition tables, mkfs with the source's identity, mounts in a private place, and back.
 * Every step looks first and makes what is missing, so a step may be repeated after a crash. It never touches a disk whose content is not
 * blank or the planned layout. Later: volume groups, btrfs, ESP.
 */
import type { PlannedDisk, PlannedVolume } from '../domain/replica.ts'

export interface MountedVolume { volume: PlannedVolume, device: string, mountPoint: string }

export interface VolumeStack extends AsyncDisposable {
  /** Waits until the disk with this UUID (32 hex digits) is in the appliance; gives its block device. @throws {AppError} DISK_NOT_FOUND after 60 s */
  deviceOf(diskUuid: string, signal: AbortSignal): Promise<string>
  /**
   * Partitions a blank disk as planned; nothing when it is so already.
   * @throws {AppError} VOLUME_LAYOUT when the disk holds something else
   */
  partition(device: string, disk: PlannedDisk, signal: AbortSignal): Promise<void>
  /** Makes the file system or swap with the source's UUID, label and features; nothing when it is there. @throws {AppError} VOLUME_LAYOUT, TOOL_FAILED */
  format(device: string, volume: PlannedVolume, signal: AbortSignal): Promise<void>
  /** Mounts each volume at its own place (never nested), nodev stays off, nosuid and noexec on; idempotent. jobId names the place. */
  mount(jobId: string, volumes: readonly { device: string, volume: PlannedVolume }[], signal: AbortSignal): Promise<readonly MountedVolume[]>
  /** Assembles the volumes as the replica will see them (root, /boot, /data ... nested) for the boot fix-ups; returns the root. */
  assemble(jobId: string, mounted: readonly MountedVolume[], signal: AbortSignal): Promise<string>
  /** Undoes assemble and mount of the job, checks the file systems read-only (fsck), and flushes; fine when nothing is mounted. */
  release(jobId: string, devices: readonly string[], signal: AbortSignal): Promise<void>
}
/** Partition `number` of a disk's device; the disk itself for 0. */
export function partitionDevice(device: string, number: number): string {
  if (number === 0) return device
  return /[0-9]$/.test(device) ? `${device}p${String(number)}` : `${device}${String(number)}`
}
