/** The real VolumeStack: sfdisk, LVM, mkfs and mount on the appliance's own block devices. Runs as root. */
import { systemClock, type Clock } from '../clock/clock.ts'
import { probeDevice } from '../command/blkid.ts'
import { flushDevice } from '../command/blockdev.ts'
import { checkBtrfs, checkExt, checkFat, checkXfs, repairFat, type CheckResult } from '../command/fsck.ts'
import { forgetPartitions } from '../command/partx.ts'
import type { Runner } from '../command/runner.ts'
import type { PlannedDisk, PlannedVolume } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { storageLog } from '../logging/logger.ts'
import { assembleRoot, disassembleRoot } from './assemble-root.ts'
import { disksByLink, disksBySerial, waitForDisk, type DiskFinder } from './attached-disks.ts'
import { deviceNumber, disksOf, kernelPartitions } from './block-devices.ts'
import { logicalMapUuid, mapsAbove, readDeviceMaps } from './device-maps.ts'
import { closeEncrypted, openedOn, openEncryptedDevice, openName } from './encrypted-devices.ts'
import { makeFileSystem } from './make-filesystem.ts'
import { markVolumes } from './mark-volumes.ts'
import { mountsBelow } from '../posix/mount-table.ts'
import { mountVolumes, placeOf, removePlace, replayLog, unmountBelow, type MountParts } from './mount-volumes.ts'
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

  async assemble(jobId: string, mounted: readonly MountedVolume[], disks: readonly string[], signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    return assembleRoot(this.#parts, jobId, mounted, { disks: await disksOf([...disks, ...mounted.map(m => m.device)]), finalNames: this.#finalNames }, signal)
  }

  async disassemble(jobId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await disassembleRoot(this.#parts, jobId, signal)
  }

  async release(jobId: string, devices: readonly string[], signal: AbortSignal, { check = true, handOver = [] }: ReleaseOptions = {}): Promise<void> {
    signal.throwIfAborted()
    const place = placeOf(this.#parts.stateDirectory, jobId)
    const mounts = await mountsBelow(place)
    const wereMounted = new Set(mounts.map(m => m.device))
    for (const { type, source } of mounts) if (type === 'btrfs' && /^\/dev\/dm-\d+$/.test(source)) wereMounted.add(await deviceNumber(source)) // it has a number of its own; an overlay only names the device
    await unmountBelow(this.#parts, place, signal)
    const disks = await disksOf(devices)
    const damaged = check ? await this.#check(jobId, disks, wereMounted, signal) : []
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
  }

  /** Volumes stay mounted: the appliance may be restarted in the middle of a job; `release` is what unmounts. */
  async [Symbol.asyncDispose](): Promise<void> {
    // nothing is held
  }

  async #check(jobId: string, disks: readonly string[], wereMounted: ReadonlySet<string>, signal: AbortSignal): Promise<readonly string[]> {
    const { runner } = this.#parts
    const damaged: string[] = []
    const devices: string[] = []
    for (const disk of disks) {
      const partitions = await kernelPartitions(disk)
      devices.push(...partitions.length === 0 ? [disk] : partitions.map(p => p.device))
    }
    devices.push(...mapsAbove(await readDeviceMaps(), disks).map(m => m.device)) // each once, on however many disks it lies
    for (const device of devices) {
      const { type } = await probeDevice(runner, device, signal)
      if (!/^(ext[234]|xfs|btrfs|vfat)$/.test(type)) continue
      if (wereMounted.size === 0 && type === 'vfat') await repairFat(runner, device, signal)
      else if (wereMounted.size === 0) await replayLog(this.#parts, jobId, device, type, signal) // unmounted by nobody: the appliance itself was off
      const result = await checkAs(type, runner, device, signal)
      storageLog.info({ jobId, device, type, clean: result.clean }, 'file system of the replica checked')
      if (!result.clean) damaged.push(`${type} on ${device} has errors: ${result.output}`)
    }
    return damaged
  }
}

/** Where the physical volumes are while their containers are open. */
async function openedDevices(jobId: string, { group, devices }: PlacedGroup): Promise<readonly string[]> {
  return await Promise.all(devices.map(async (device, i) => {
    const encryption = group.physicalVolumes[i]?.encryption
    return encryption === undefined ? device : await openedOn(jobId, device, encryption)
  }))
}

async function checkAs(type: string, runner: Runner, device: string, signal: AbortSignal): Promise<CheckResult> {
  switch (type) {
    case 'xfs': return await checkXfs(runner, device, signal)
    case 'btrfs': return await checkBtrfs(runner, device, signal)
    case 'vfat': return await checkFat(runner, device, signal)
    default: return await checkExt(runner, device, signal)
  }
}
