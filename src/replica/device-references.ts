/**
 * Whether a name of a block device in a configuration file means something on the replica, and by which name it should be called. All
 * identifiers are kept, so UUID=, LABEL=, PARTUUID= stay as they are; names that come from the old hardware become UUID=. Pure.
 */
import { mapNameOf } from '../command/lvm.ts'
import type { PlannedVolume, ReplicaPlan } from '../domain/replica.ts'
import type { Workload } from '../domain/workload.ts'

export type Reference =
  /** it resolves on the replica as it stands */
  | { kind: 'resolves' }
  /** the same device by a name that resolves */
  | { kind: 'renamed', to: string }
  /** nothing on the replica has this name */
  | { kind: 'missing' }
  /** no local block device at all (a network share, a virtual file system) */
  | { kind: 'foreign' }

/** What of a plan says which volume groups and opened LUKS containers the replica has; left out: none. */
interface KeptNames {
  volumeGroups?: readonly { name: string, logicalVolumes: readonly { name: string }[], physicalVolumes?: readonly { encryption?: Named | undefined }[] }[] | undefined
  volumes: readonly (PlannedVolume & { encryption?: Named | undefined })[]
}
interface Named { name: string, uuid: string }

export class DeviceReferences {
  readonly #names = new Map<string, PlannedVolume>()
  /** names below /dev/mapper that the replica makes itself */
  readonly #mapped = new Set<string>()
  readonly #luks = new Set<string>()
  readonly #opened = new Map<string, string>()
  readonly #volumes: readonly PlannedVolume[]
  readonly #partUuids: ReadonlySet<string>
  readonly #partLabels: ReadonlySet<string>

  constructor(plan: ReplicaPlan, workload: Workload) {
    this.#volumes = plan.volumes
    for (const planned of plan.volumes) {
      const { volume } = planned
      this.#names.set(volume.device, planned)
      if (planned.logicalVolume !== undefined) continue // what lies below it is a part of a group
      const separator = /\d$/.test(volume.disk) ? 'p' : ''
      this.#names.set(`/dev/${volume.disk}${volume.partition === 0 ? '' : `${separator}${String(volume.partition)}`}`, planned)
    }
    for (const { name } of workload.disks) this.#names.delete(`/dev/${name}`) // a whole disk with a table is no volume
    for (const planned of plan.volumes) if (planned.partition === 0) this.#names.set(`/dev/${planned.volume.disk}`, planned)
    const kept: KeptNames = plan
    for (const group of kept.volumeGroups ?? []) for (const { name } of group.logicalVolumes) this.#mapped.add(mapNameOf(group.name, name))
    for (const { encryption } of [...kept.volumes, ...kept.volumeGroups?.flatMap(g => g.physicalVolumes ?? []) ?? []]) {
      if (encryption === undefined) continue
      this.#mapped.add(encryption.name)
      this.#opened.set(encryption.name, encryption.uuid)
      this.#luks.add(encryption.uuid.toLowerCase())
    }
    const partitions = plan.disks.flatMap(d => d.partitions)
    this.#partUuids = new Set(partitions.map(p => p.uuid.toLowerCase()))
    this.#partLabels = new Set(partitions.map(p => p.name).filter(name => name !== ''))
  }

  /** @param mountPoint where the file says that the device is mounted: it identifies a volume whose old name says nothing (by-id, by-path) */
  look(name: string, mountPoint?: string): Reference {
    const spec = /^(UUID|LABEL|PARTUUID|PARTLABEL)="?([^"]*)"?$/.exec(name) ?? /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(name)
    if (spec?.[1] !== undefined && spec[2] !== undefined) return this.#has(spec[1].toLowerCase(), spec[2]) ? { kind: 'resolves' } : { kind: 'missing' }
    if (!name.startsWith('/dev/')) return { kind: 'foreign' }
    if (this.hasMapped(name)) return { kind: 'resolves' }
    const planned = this.#names.get(name) ?? this.#volumes.find(v => mountPoint !== undefined && v.volume.mountPoint === mountPoint)
    return planned === undefined ? { kind: 'missing' } : { kind: 'renamed', to: `UUID=${planned.volume.fileSystem.uuid}` }
  }

  /** Whether it is a logical volume or an opened LUKS container of the replica, as /dev/mapper/NAME or /dev/GROUP/VOLUME. */
  hasMapped(name: string): boolean {
    const mapped = /^\/dev\/mapper\/([^/]+)$/.exec(name)?.[1]
    if (mapped !== undefined) return this.#mapped.has(mapped)
    const [, group, volume] = /^\/dev\/([^/]+)\/([^/]+)$/.exec(name) ?? []
    return group !== undefined && volume !== undefined && this.#mapped.has(mapNameOf(group, volume))
  }

  /** Whether the replica has a LUKS container with this UUID. */
  hasLuks(uuid: string): boolean {
    return this.#luks.has(uuid.toLowerCase())
  }

  /** The UUID of the LUKS container that is opened under this name; undefined when the replica has none. */
  openedAs(name: string): string | undefined {
    return this.#opened.get(name)
  }

  /** The name by which the replica's root can be mounted. */
  root(): string | undefined {
    const root = this.#volumes.find(v => v.volume.mountPoint === '/')
    return root === undefined ? undefined : this.hasMapped(root.volume.device) ? root.volume.device : `UUID=${root.volume.fileSystem.uuid}`
  }

  /** The btrfs subvolume that is mounted there, '' for the top; undefined where no btrfs is. */
  subvolumeAt(mountPoint: string): string | undefined {
    const volume = this.#volumes.find(v => v.volume.mountPoint === mountPoint)?.volume
    return volume?.fileSystem.type === 'btrfs' ? volume.subvolume ?? '' : undefined
  }

  /** UUIDs of the swap space that the replica has. */
  swapUuids(): readonly string[] {
    return this.#volumes.filter(v => v.volume.fileSystem.type === 'swap').sort((a, b) => b.volume.sizeBytes - a.volume.sizeBytes).map(v => v.volume.fileSystem.uuid)
  }

  /** Whether the name means the swap space of the replica. */
  isSwap(name: string): boolean {
    const reference = this.look(name)
    const to = reference.kind === 'renamed' ? reference.to : name
    return this.swapUuids().some(uuid => to.toLowerCase().endsWith(uuid.toLowerCase()))
      || this.#volumes.some(v => v.volume.fileSystem.type === 'swap' && v.volume.fileSystem.label !== '' && to === `LABEL=${v.volume.fileSystem.label}`)
      || (/^PARTUUID=/.test(to) && reference.kind === 'resolves')
  }

  #has(kind: string, value: string): boolean {
    const lower = value.toLowerCase()
    switch (kind) {
      case 'uuid': return this.#volumes.some(v => v.volume.fileSystem.uuid.toLowerCase() === lower)
      case 'label': return this.#volumes.some(v => v.volume.fileSystem.label === value)
      case 'partuuid': return this.#partUuids.has(lower)
      default: return this.#partLabels.has(value)
    }
  }
}
