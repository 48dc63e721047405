/**
 * What will be built, decided from what the source is, what the user chose and what the target offers. Pure: the same input gives the same
 * plan, so that a retry plans what is there already. It always gives a plan; what is wrong with it is said by `check-plan.ts`.
 */
import { createHash } from 'node:crypto'
import type { JobOptions } from '../domain/job.ts'
import type { PlannedAdapter, PlannedDisk, PlannedVolume, ReplicaPlan } from '../domain/replica.ts'
import type { Places } from '../domain/target.ts'
import type { Disk, Partition, Volume } from '../domain/volume.ts'
import type { NetworkAdapter, Workload } from '../domain/workload.ts'
import { guestIdFor } from './guest-id.ts'
import { chooseController, chooseNic } from './virtual-hardware.ts'

export interface PlanInput { jobId: string, workload: Workload, options: JobOptions, places: Places }

const MIB = 1 << 20
/** vSphere takes memory in steps of 4 MB. */
const MEMORY_STEP_MIB = 4
/** The backup GPT behind the last partition: its header and 32 sectors of entries. */
const GPT_END_BYTES = 33 * 512
/** Partitions never start before this: the space is what GRUB's core image needs (cutover.md 2). */
const FIRST_START_BYTES = MIB

/** Disks match the source's, the system's disk first; volumes keep their numbers and identifiers. */
export function planReplica(input: PlanInput): ReplicaPlan {
  const { jobId, workload, options, places } = input
  const chosen = chosenVolumes(workload, options)
  const folder = `landfall-${jobId}`
  const differences: string[] = []
  const disks = chosenDisks(workload, chosen).map((disk, i) => planDisk(disk, `[${options.datastore}] ${folder}/disk${String(i)}.vmdk`, options, differences))
  const volumes = planVolumes(chosen, disks)
  const adapters = planAdapters(input, differences)
  const controller = chooseController(workload.boot.kernels)
  differences.push(...volumeDifferences(workload, chosen, disks))
  if (controller !== 'pvscsi') differences.push('Disks hang on an LSI Logic controller, because a kernel of the source has no driver for the paravirtual one.')
  return {
    version: 1, vmName: options.vmName, folder, datastore: options.datastore, guestId: guestIdFor(workload.os, places.apiVersion), firmware: workload.firmware,
    sockets: options.sockets ?? workload.cpu.sockets, coresPerSocket: options.coresPerSocket ?? workload.cpu.coresPerSocket,
    memoryMiB: Math.ceil((options.memoryMiB ?? workload.memoryBytes / MIB) / MEMORY_STEP_MIB) * MEMORY_STEP_MIB,
    controller: controller ?? 'pvscsi', disks, volumes, adapters, differences,
  }
}

/** The volumes of the job: the required ones, those that were chosen (or all that can be), and swap. */
export function chosenVolumes({ volumes }: Workload, options: JobOptions): readonly Volume[] {
  return volumes.filter(v => {
    if (v.fileSystem.type === 'swap') return v.unsupportedReason === undefined && v.fileSystem.properties['swapfile'] !== 'yes'
    if (v.required) return true
    return options.volumes.length === 0 ? v.unsupportedReason === undefined && v.mountPoint !== undefined : options.volumes.includes(v.mountPoint ?? v.name)
  })
}

function chosenDisks({ disks }: Workload, chosen: readonly Volume[]): readonly Disk[] {
  const system = chosen.find(v => v.mountPoint === '/')?.disk
  const boot = chosen.find(v => v.mountPoint === '/boot')?.disk ?? system // the firmware starts from the first disk
  const rank = (d: Disk): number => (d.name === boot ? 0 : d.name === system ? 1 : 2)
  return disks.filter(d => chosen.some(v => v.disk === d.name)).sort((a, b) => rank(a) - rank(b))
}

function planDisk(disk: Disk, path: string, options: JobOptions, differences: string[]): PlannedDisk {
  const first = Math.min(...disk.partitions.map(p => p.startBytes))
  const shift = disk.partitions.length > 0 && first < FIRST_START_BYTES ? FIRST_START_BYTES - first : 0
  const partitions = disk.partitions.map((p): Partition => ({ ...p, startBytes: p.startBytes + shift }))
  if (shift > 0) differences.push(`Partitions of ${disk.name} start ${String(shift)} bytes later, so that the first one starts at 1 MiB; their sizes are the same.`)
  const end = Math.max(0, ...partitions.map(p => p.startBytes + p.sizeBytes)) + (disk.table === 'gpt' ? GPT_END_BYTES : 0)
  const sizeBytes = Math.ceil(Math.max(disk.sizeBytes, end) / MIB) * MIB
  if (sizeBytes !== disk.sizeBytes) differences.push(`The disk for ${disk.name} has ${String(sizeBytes)} bytes instead of ${String(disk.sizeBytes)}.`)
  if (disk.sectorSizeBytes !== 512) differences.push(`The disk for ${disk.name} has sectors of 512 bytes instead of ${String(disk.sectorSizeBytes)}.`)
  return { sourceDisk: disk.name, path, sizeBytes, format: options.diskFormat, table: disk.table, tableId: disk.tableId, partitions }
}

/** Data volumes get their index on the wire in the order of their mount points, a parent before what is mounted in it. */
function planVolumes(chosen: readonly Volume[], disks: readonly PlannedDisk[]): PlannedVolume[] {
  const data = chosen.filter(v => v.fileSystem.type !== 'swap').sort((a, b) => compareText(a.mountPoint ?? a.name, b.mountPoint ?? b.name))
  const swap = chosen.filter(v => v.fileSystem.type === 'swap')
  return [...data.map((volume, index) => ({ volume, index })), ...swap.map(volume => ({ volume, index: -1 }))]
    .map(({ volume, index }) => ({ volume, index, disk: disks.findIndex(d => d.sourceDisk === volume.disk), partition: volume.partition }))
    .filter(v => v.disk >= 0)
}

function planAdapters({ jobId, workload, options }: PlanInput, differences: string[]): PlannedAdapter[] {
  const type = chooseNic(workload.boot.kernels)
  const taken = new Set<string>()
  const adapters: PlannedAdapter[] = []
  for (const adapter of workload.adapters) {
    const network = networkFor(adapter, options)
    if (network === null) {
      differences.push(`Network adapter ${adapter.name} (${adapter.macAddress}) is discarded with its addresses.`)
      continue
    }
    const mac = macFor(jobId, adapter.macAddress, taken)
    taken.add(mac)
    adapters.push({ sourceName: adapter.name, sourceMac: adapter.macAddress, mac, network, type: type ?? 'vmxnet3', addresses: adapter.addresses })
    differences.push(`Network adapter ${adapter.name} has the MAC address ${mac} instead of ${adapter.macAddress}; its name stays.`)
  }
  return adapters
}

/** null: discarded; '' when nothing says which. */
function networkFor(adapter: NetworkAdapter, options: JobOptions): string | null {
  const mapping = options.networks.find(m => m.sourceMac.toLowerCase() === adapter.macAddress)
  return mapping === undefined ? options.defaultNetwork ?? '' : mapping.network
}

/** A MAC address of VMware's range for manual assignment (00:50:56:00:00:00 to 3f:ff:ff), the same for the same job and adapter. */
export function macFor(jobId: string, sourceMac: string, taken: ReadonlySet<string>): string {
  for (let salt = 0; ; salt++) {
    const [a = 0, b = 0, c = 0] = createHash('sha256').update(JSON.stringify([jobId, sourceMac, salt])).digest()
    const mac = `00:50:56:${[a & 0x3f, b, c].map(byte => byte.toString(16).padStart(2, '0')).join(':')}`
    if (!taken.has(mac)) return mac
  }
}

function volumeDifferences(workload: Workload, chosen: readonly Volume[], disks: readonly PlannedDisk[]): readonly string[] {
  const left = workload.volumes.filter(v => !chosen.includes(v) && v.fileSystem.properties['swapfile'] !== 'yes')
  return [
    ...left.map(v => `Volume ${v.name} is not migrated${v.unsupportedReason === undefined ? '' : `: ${v.unsupportedReason}`}${disks.some(d => d.sourceDisk === v.disk) ? '; its partition stays empty' : ''}.`),
    ...workload.disks.filter(d => !disks.some(p => p.sourceDisk === d.name)).map(d => `Disk ${d.name} is not migrated: no volume of the job lies on it.`),
  ]
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
