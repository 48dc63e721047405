/** The real VolumeStack: sfdisk, LVM, mkfs and mount on the appliance's own block devices. Runs as root. */
import { systemClock, type Clock } from '../clock/clock.ts'
import { flushDevice } from '../command/blockdev.ts'
import { forgetPartitions } from '../command/partx.ts'
import type { Runner } from '../command/runner.ts'
import type { PlannedDisk, PlannedVolume } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { assembleRoot, disassembleRoot } from './assemble-root.ts'
import { disksByLink, disksBySerial, waitForDisk, type DiskFinder } from './attached-disks.ts'
import { deviceNumber, disksOf } from './block-devices.ts'
import { logicalMapUuid } from './device-maps.ts'
import { checkFileSystems } from './check-file-systems.ts'
import { closeEncrypted, openedOn, openEncryptedDevice, openName } from './encrypted-devices.ts'
import { makeFileSystem } from './make-filesystem.ts'
import { markVolumes } from './mark-volumes.ts'
import { mountsBelow } from '../posix/mount-table.ts'
import { mountVolumes, placeOf, removePlace, unmountBelow, type MountParts } from './mount-volumes.ts'
import { partitionDisk } from './partition-disk.ts'
import { closeGroups, handOverGroups, openVolumeGroup } from './volume-groups.ts'
import type { EncryptedPlace, MountedVolume, PlacedGroup, ReleaseOptions, VolumeStack } from './volume-stack.ts'

export interface LinuxVolumeStackOptions {
  runner: Runner
  /** the appliance's state; volumes are mounted in `replicas/<job id>` below it */
  stateDirectory: string
  /** directory with a link <32 hex digits> -> device for each attached disk; without it disks are found by their serial */
  devicesBySerial?: string | undefined
  clock?: Clock
}

export class LinuxVolumeStack implements VolumeStack {
  readonly #parts: MountParts
  readonly #finder: DiskFinder
  /** by the uuid of the map */
  readonly #finalNames = new Map<string, { group?: string, name: string }>()

  constructor({ runner, stateDirectory, devicesBySerial, clock = systemClock }: LinuxVolumeStackOptions) {
    this.#parts = { runner, clock, stateDirectory }
    this.#finder = devicesBySerial === undefined ? disksBySerial() : disksByLink(devicesBySerial)
  }

  async deviceOf(diskUuid: string, signal: AbortSignal): Promise<string> {
    return waitForDisk(this.#finder, diskUuid, this.#parts.clock, signal)
  }

  async partition(device: string, disk: PlannedDisk, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await partitionDisk(this.#parts, device, disk, signal)
  }

  async openEncrypted(place: EncryptedPlace, passphrase: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const map = await openEncryptedDevice(this.#parts, place, passphrase, signal)
    this.#finalNames.set(map.uuid, { name: place.encryption.name })
    return map.device
  }

  async openGroup(placed: PlacedGroup, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    signal.throwIfAborted()
    const devices = await openVolumeGroup(this.#parts, placed, signal)
    for (const { name, temporaryUuid } of placed.group.logicalVolumes) this.#finalNames.set(logicalMapUuid(placed.group.temporaryUuid, temporaryUuid), { group: placed.group.name, name })
    return devices
  }

  async format(device: string, { volume }: PlannedVolume, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await makeFileSystem(this.#parts.runner, device, volume, this.#parts.stateDirectory, signal)
  }

  async mount(jobId: string, volumes: readonly { device: string, volume: PlannedVolume }[], signal: AbortSignal): Promise<readonly MountedVolume[]> {
    signal.throwIfAborted()
    return mountVolumes(this.#parts, jobId, volumes, signal)
  }

  async mark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await markVolumes(mounted, true)
  }

  async unmark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await markVolumes(mounted, false)
  }

  async assemble(jobId: string, mounted: readonly MountedVolume[], disks: readonly string[], signal: AbortSignal, { plainDev = false } = {}): Promise<string> {
    signal.throwIfAborted()
    return assembleRoot(this.#parts, jobId, mounted, { disks: await disksOf([...disks, ...mounted.map(m => m.device)]), finalNames: this.#finalNames, plainDev }, signal)
  }

  async disassemble(jobId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await disassembleRoot(this.#parts, jobId, signal)
  }

  async release(jobId: string, devices: readonly string[], signal: AbortSignal, { check = true, checkMs, handOver = [] }: ReleaseOptions = {}): Promise<readonly string[]> {
    signal.throwIfAborted()
    const place = placeOf(this.#parts.stateDirectory, jobId)
    const mounts = await mountsBelow(place)
    const wereMounted = new Set(mounts.map(m => m.device))
    for (const { type, source } of mounts) if (type === 'btrfs' && /^\/dev\/dm-\d+$/.test(source)) wereMounted.add(await deviceNumber(source)) // it has a number of its own; an overlay only names the device
    await unmountBelow(this.#parts, place, signal)
    const disks = await disksOf(devices)
    const { damaged, unchecked } = check ? await checkFileSystems(this.#parts, jobId, disks, { crashed: wereMounted.size === 0, withinMs: checkMs }, signal) : { damaged: [], unchecked: [] }
    await unmountBelow(this.#parts, place, signal)
    const opened = await Promise.all(handOver.map(async placed => ({ ...placed, devices: await openedDevices(jobId, placed) })))
    const needed = handOver.flatMap(({ group }) => group.physicalVolumes.flatMap(p => (p.encryption === undefined ? [] : [openName(jobId, p.encryption)])))
    await closeEncrypted(this.#parts, jobId, needed, signal) // what lies on logical volumes
    await closeGroups(this.#parts, disks, wereMounted, signal)
    if (damaged.length === 0) await handOverGroups(this.#parts, opened, signal)
    await closeEncrypted(this.#parts, jobId, [], signal)
    for (const disk of disks) {
      await flushDevice(this.#parts.runner, disk, signal)
      await forgetPartitions(this.#parts.runner, disk, signal)
    }
    await removePlace(this.#parts, jobId)
    if (damaged.length > 0) throw new AppError('VOLUME_DAMAGED', damaged.join('; '))
    return unchecked
  }

  /** Volumes stay mounted: the appliance may be restarted in the middle of a job; `release` is what unmounts. */
  async [Symbol.asyncDispose](): Promise<void> {
    // nothing is held
  }
}

/** Where the physical volumes are while their containers are open. */
async function openedDevices(jobId: string, { group, devices }: PlacedGroup): Promise<readonly string[]> {
  return await Promise.all(devices.map(async (device, i) => {
    const encryption = group.physicalVolumes[i]?.encryption
    return encryption === undefined ? device : await openedOn(jobId, device, encryption)
  }))
}
