/** VolumeStack without devices: keeps what was made in maps and mounts directories of its own. For tests of everything above. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PlannedDisk, PlannedVolume } from '../domain/replica.ts'
import { AppError } from '../errors/app-error.ts'
import { whyEncryptionNotMade } from './encrypted-devices.ts'
import { whyGroupNotMade, type GroupIdentity } from './lvm-metadata.ts'
import { whyNotMade } from './make-filesystem.ts'
import { volumeIdOf, type EncryptedPlace, type MountedVolume, type PlacedGroup, type ReleaseOptions, type VolumeStack } from './volume-stack.ts'

/** What lies on a device: a disk with its table, or the file system of a volume. */
interface Content { table?: string, fileSystem?: string, volumeId?: string, group?: HeldGroup, encryption?: string }
interface HeldGroup { physicalVolume: string, layout: string, identity: GroupIdentity }

export class MemoryVolumeStack implements VolumeStack {
  readonly #devices = new Map<string, string>()
  readonly #contents = new Map<string, Content>()
  readonly #mounts = new Map<string, Map<string, MountedVolume>>()
  readonly #damaged = new Set<string>()
  #directory: string | undefined

  /** Makes the disk appear, as an attach to the appliance does; answers its device. */
  attach(diskUuid: string): string {
    const device = this.#devices.get(diskUuid) ?? `/dev/memory-${String.fromCharCode(97 + this.#devices.size)}`
    this.#devices.set(diskUuid, device)
    return device
  }

  /** Makes what lies on one disk lie on another, as a copy of its file does. */
  copy(diskUuid: string, to: string): void {
    const [from, onto] = [this.attach(diskUuid), this.attach(to)]
    for (const [device, content] of [...this.#contents]) if (device.startsWith(from)) this.#contents.set(`${onto}${device.slice(from.length)}`, { ...content })
  }

  /** Puts something foreign on a device. */
  scribble(device: string): void {
    this.#contents.set(device, { table: 'foreign', fileSystem: 'foreign' })
  }

  /** Makes the next check of the device fail. */
  damage(device: string): void {
    this.#damaged.add(device)
  }

  async deviceOf(diskUuid: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const device = this.#devices.get(diskUuid)
    if (device === undefined) throw new AppError('DISK_NOT_FOUND', `the disk with UUID ${diskUuid} did not appear`)
    return device
  }

  async partition(device: string, disk: PlannedDisk, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (disk.table === 'none') return
    this.#put(device, 'table', JSON.stringify([disk.table, disk.tableId, disk.partitions]))
  }

  async openGroup(placed: PlacedGroup, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    signal.throwIfAborted()
    const { group, devices } = placed
    const reason = whyGroupNotMade(group)
    if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `volume group ${group.name} cannot be made: ${reason}`)
    this.#checkGroup(placed, true)
    this.#putGroup(placed, 'temporary')
    return new Map(group.logicalVolumes.map(({ name }) => [name, `${devices[0] ?? ''}-${group.temporaryName}-${name}`]))
  }

  async openEncrypted({ device, encryption }: EncryptedPlace, passphrase: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const reason = whyEncryptionNotMade(encryption)
    if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `${encryption.name} cannot be encrypted: ${reason}`)
    const { fileSystem, group } = this.#contents.get(device) ?? {}
    if (fileSystem !== undefined || group !== undefined) throw new AppError('VOLUME_LAYOUT', `${device} holds something else; nothing was written`)
    this.#put(device, 'encryption', `${encryption.uuid} ${passphrase}`)
    return insideOf(device)
  }

  /** Under which identity the device holds a physical volume. */
  identityOf(device: string): GroupIdentity | undefined {
    return this.#contents.get(device)?.group?.identity
  }

  async format(device: string, { volume }: PlannedVolume, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const reason = whyNotMade(volume)
    if (reason !== undefined) throw new AppError('SOURCE_UNSUPPORTED', `cannot make the file system of ${volume.name}: ${reason}`)
    this.#put(device, 'fileSystem', identity(volume))
  }

  async mount(jobId: string, volumes: readonly { device: string, volume: PlannedVolume }[], signal: AbortSignal): Promise<readonly MountedVolume[]> {
    signal.throwIfAborted()
    this.#directory ??= await mkdtemp(join(tmpdir(), 'landfall-volumes-'))
    const mounts = this.#mounts.get(jobId) ?? new Map<string, MountedVolume>()
    this.#mounts.set(jobId, mounts)
    const result: MountedVolume[] = []
    for (const { device, volume } of volumes) {
      if (volume.index < 0) continue
      if (this.#contents.get(device)?.fileSystem !== identity(volume.volume)) throw new AppError('VOLUME_LAYOUT', `${device} does not hold the file system of ${volume.volume.name}`)
      const mountPoint = join(this.#directory, jobId, `volume-${String(volume.index)}`)
      await mkdir(mountPoint, { recursive: true })
      const mounted = mounts.get(mountPoint) ?? { volume, device, mountPoint, volumeId: volumeIdOf(jobId, volume.index) }
      mounts.set(mountPoint, mounted)
      result.push(mounted)
    }
    return result
  }

  async mark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
    this.#checkIds(mounted, signal)
    for (const { device, volumeId } of mounted) this.#contents.set(device, { ...this.#contents.get(device), volumeId })
  }

  async unmark(mounted: readonly MountedVolume[], signal: AbortSignal): Promise<void> {
    this.#checkIds(mounted, signal)
    for (const { device } of mounted) delete this.#contents.get(device)?.volumeId
  }

  async assemble(_jobId: string, mounted: readonly MountedVolume[], _disks: readonly string[], signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const root = mounted.find(m => m.volume.volume.mountPoint === '/')
    if (root === undefined) throw new AppError('VOLUME_LAYOUT', 'no volume of the job is the root of the replica')
    for (const { volume } of mounted) await mkdir(join(root.mountPoint, volume.volume.mountPoint ?? ''), { recursive: true })
    return root.mountPoint
  }

  async disassemble(_jobId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  async release(jobId: string, disks: readonly string[], signal: AbortSignal, { check = true, checkMs, handOver = [] }: ReleaseOptions = {}): Promise<readonly string[]> {
    signal.throwIfAborted()
    this.#mounts.delete(jobId)
    const bad = disks.filter(disk => check && [...this.#damaged].some(device => device.startsWith(disk)))
    if (bad.length > 0) throw new AppError('VOLUME_DAMAGED', `file systems on ${bad.join(', ')} have errors`)
    for (const { group, devices } of handOver) {
      const placed = { group, devices: devices.map((device, i) => (group.physicalVolumes[i]?.encryption === undefined ? device : insideOf(device))) }
      this.#checkGroup(placed, false)
      this.#putGroup(placed, 'final')
    }
    return check && checkMs !== undefined && checkMs <= 0 ? disks.map(disk => `ext4 on ${disk}`) : []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true })
    this.#directory = undefined
    this.#mounts.clear()
  }

  #checkIds(mounted: readonly MountedVolume[], signal: AbortSignal): void {
    signal.throwIfAborted()
    for (const { device, mountPoint, volumeId } of mounted) {
      const found = this.#contents.get(device)?.volumeId
      if (![...this.#mounts.values()].some(mounts => mounts.has(mountPoint)) || (found !== undefined && found !== volumeId)) {
        throw new AppError('REPLICA_ROOT_FOREIGN', `${device} is volume ${String(found)}, not ${volumeId}, or not mounted; nothing was written`)
      }
    }
  }

  #checkGroup({ group, devices }: PlacedGroup, mayBeBlank: boolean): void {
    const layout = JSON.stringify(group.logicalVolumes)
    for (const [i, { uuid }] of group.physicalVolumes.entries()) {
      const { table, fileSystem, group: held } = this.#contents.get(devices[i] ?? '') ?? {}
      const fits = held === undefined ? mayBeBlank && table === undefined && fileSystem === undefined : held.physicalVolume === uuid && held.layout === layout
      if (!fits) throw new AppError('VOLUME_LAYOUT', `${devices[i] ?? ''} holds something else than volume group ${group.name}; nothing was written`)
    }
  }

  #putGroup({ group, devices }: PlacedGroup, identity: GroupIdentity): void {
    for (const [i, { uuid }] of group.physicalVolumes.entries()) this.#contents.set(devices[i] ?? '', { group: { physicalVolume: uuid, layout: JSON.stringify(group.logicalVolumes), identity } })
  }

  #put(device: string, what: 'table' | 'fileSystem' | 'encryption', value: string): void {
    const content = this.#contents.get(device) ?? {}
    const there = content[what]
    if (there !== undefined && there !== value) throw new AppError('VOLUME_LAYOUT', `${device} holds something else; nothing was written`)
    this.#contents.set(device, { ...content, [what]: value })
  }
}

/** The device of what is in a container. */
function insideOf(device: string): string {
  return `${device}-open`
}

function identity({ fileSystem }: PlannedVolume['volume']): string {
  return `${fileSystem.type} ${fileSystem.uuid} ${fileSystem.label}`
}

