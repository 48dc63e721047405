/**
 * What will be built, decided from what the source is, what the user chose and what the target offers. Pure: the same input gives the same
 * plan, so that a retry plans what is there already. It always gives a plan; what is wrong with it is said by `check-plan.ts`.
 */
import { createHash } from 'node:crypto'
import type { JobOptions } from '../domain/job.ts'
import type { PlanDifference } from '../domain/plan-difference.ts'
import type { PlannedAdapter, PlannedDisk, ReplicaPlan } from '../domain/replica.ts'
import type { Places } from '../domain/target.ts'
import type { Volume } from '../domain/volume.ts'
import type { NetworkAdapter, Workload } from '../domain/workload.ts'
import { guestIdFor } from './guest-id.ts'
import { diskDifferences } from './layer-differences.ts'
import { planLayout, type Layout } from './plan-layout.ts'
import { MIB } from './plan-places.ts'
import { unknownContent } from './unknown-content.ts'
import { chooseController, chooseNic } from './virtual-hardware.ts'

export interface PlanInput { jobId: string, workload: Workload, options: JobOptions, places: Places }

/** vSphere takes memory in steps of 4 MB. */
const MEMORY_STEP_MIB = 4
/** what VMFS 6 takes, when the datastore does not say */
const MAX_FILE_BYTES = 62 * 2 ** 40

/** The system's disk comes first; identifiers are the source's. */
export function planReplica(input: PlanInput): ReplicaPlan {
  const { jobId, workload, options, places } = input
  const chosen = chosenVolumes(workload, options)
  const folder = `landfall-${jobId}`
  const differences: PlanDifference[] = []
  const maxDiskBytes = places.datastores.find(d => d.name === options.datastore)?.maxFileBytes ?? MAX_FILE_BYTES
  const layout = planLayout({ jobId, workload, options, chosen, maxDiskBytes }, differences)
  const disks = layout.disks.map((disk, i): PlannedDisk => ({
    sourceDisk: disk.sourceDisk, path: `[${options.datastore}] ${folder}/disk${String(i)}.vmdk`, sizeBytes: disk.sizeBytes, format: options.diskFormat, table: disk.table, tableId: disk.tableId, partitions: disk.partitions,
  }))
  differences.push(...diskDifferences(workload, layout.sourceDisks))
  const adapters = planAdapters(input, differences)
  const controller = chooseController(workload.boot.kernels)
  differences.push(...volumeDifferences(input, chosen, layout))
  if (controller !== 'pvscsi') differences.push({ code: 'CONTROLLER', subject: 'controller', message: 'Disks hang on an LSI Logic controller, because a kernel of the source has no driver for the paravirtual one.' })
  return {
    version: 1, vmName: options.vmName, folder, datastore: options.datastore, guestId: guestIdFor(workload.os, places.apiVersion), firmware: workload.firmware,
    sockets: options.sockets ?? workload.cpu.sockets, coresPerSocket: options.coresPerSocket ?? workload.cpu.coresPerSocket,
    memoryMiB: Math.ceil((options.memoryMiB ?? workload.memoryBytes / MIB) / MEMORY_STEP_MIB) * MEMORY_STEP_MIB,
    controller: controller ?? 'pvscsi', disks, ...(layout.volumeGroups.length === 0 ? {} : { volumeGroups: layout.volumeGroups }), volumes: layout.volumes, adapters,
    differences: differences.filter((d, i) => differences.findIndex(other => other.message === d.message) === i),
  }
}

/** The volumes of the job: the required ones, those that were chosen (or all that can be), and swap. */
export function chosenVolumes({ volumes }: Workload, options: JobOptions): readonly Volume[] {
  return enteredOnce(volumes.filter(v => {
    if (v.fileSystem.type === 'swap') return v.unsupportedReason === undefined && v.fileSystem.properties['swapfile'] !== 'yes'
    if (v.required) return true
    return options.volumes.length === 0 ? v.unsupportedReason === undefined && v.mountPoint !== undefined : options.volumes.includes(v.mountPoint ?? v.name)
  }))
}

/**
 * A subvolume of a btrfs holds those below it, too, which come with its files: what is mounted twice so is copied once. Where the inner one is seen at its
 * place in the outer one, or the system needs the outer one, the outer one stays; else the inner ones do.
 */
function enteredOnce(volumes: readonly Volume[]): readonly Volume[] {
  const inPlace = (outer: Volume, inner: Volume): boolean =>
    `${(outer.mountPoint ?? '').replace(/\/$/, '')}/${(inner.subvolume ?? '').slice(outer.subvolume === '' ? 0 : (outer.subvolume ?? '').length + 1)}` === inner.mountPoint
  const outerOnes = volumes.filter(outer => outer.required || volumes.every(inner => !holds(outer, inner) || inPlace(outer, inner)))
  return outerOnes.filter(inner => !outerOnes.some(outer => holds(outer, inner)))
}

/** Whether the subvolume of the one lies in that of the other. */
function holds(outer: Volume, inner: Volume): boolean {
  return outer !== inner && outer.device === inner.device && outer.subvolume !== undefined && inner.subvolume !== undefined
    && (outer.subvolume === '' ? inner.subvolume !== '' : inner.subvolume.startsWith(`${outer.subvolume}/`))
}

function planAdapters({ jobId, workload, options }: PlanInput, differences: PlanDifference[]): PlannedAdapter[] {
  const type = chooseNic(workload.boot.kernels)
  const taken = new Set<string>()
  const adapters: PlannedAdapter[] = []
  for (const adapter of workload.adapters) {
    const network = networkFor(adapter, options)
    if (network === null) {
      differences.push({ code: 'ADAPTER_DISCARDED', subject: adapter.name, message: `Network adapter ${adapter.name} (${adapter.macAddress}) is discarded with its addresses.` })
      continue
    }
    const mac = macFor(jobId, adapter.macAddress, taken)
    taken.add(mac)
    adapters.push({ sourceName: adapter.name, sourceMac: adapter.macAddress, mac, network, type: type ?? 'vmxnet3', addresses: adapter.addresses })
    differences.push({ code: 'MAC_CHANGED', subject: adapter.name, message: `Network adapter ${adapter.name} has the MAC address ${mac} instead of ${adapter.macAddress}; its name stays.` })
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

function volumeDifferences({ workload, options }: PlanInput, chosen: readonly Volume[], { disks, sourceDisks }: Layout): PlanDifference[] {
  const unknown = unknownContent(workload, disk => options.layout?.disks !== 'per-volume' && sourceDisks.has(disk.name))
  const left = workload.volumes.filter(v => !chosen.includes(v) && v.fileSystem.properties['swapfile'] !== 'yes')
  return [
    ...left.map((v): PlanDifference => ({
      code: 'VOLUME_LEFT_OUT', subject: v.name,
      message: chosen.some(c => holds(c, v)) ? `Volume ${v.name} comes with ${chosen.find(c => holds(c, v))?.name ?? ''}, in which its subvolume lies.` : `Volume ${v.name} is not migrated${v.unsupportedReason === undefined ? '' : `: ${v.unsupportedReason}`}${v.on === undefined && v.partition > 0 && disks.some(d => d.sourceDisk === v.disk) && !chosen.some(c => c.device === v.device) ? '; its partition stays empty' : ''}.`,
    })),
    ...unknown,
    ...subvolumesLeftOut(chosen),
    ...workload.disks.filter(d => !sourceDisks.has(d.name) && !unknown.some(u => u.subject === d.name)).map((d): PlanDifference => ({ code: 'DISK_LEFT_OUT', subject: d.name, message: `Disk ${d.name} is not migrated: nothing of the job is placed on it.` })),
  ]
}

const MAX_NAMES = 10

/** Of each btrfs of the job at once. */
function subvolumesLeftOut(chosen: readonly Volume[]): PlanDifference[] {
  return [...new Map(chosen.map(v => [v.device, v.fileSystem.unmountedSubvolumes ?? []] as const))].filter(([, paths]) => paths.length > 0).map(([device, paths]): PlanDifference => {
    const more = paths.length > MAX_NAMES ? ` and ${String(paths.length - MAX_NAMES)} more` : ''
    return { code: 'SUBVOLUMES_LEFT_OUT', subject: device, message: `Subvolumes of ${device} are not mounted, their files are not copied: ${paths.slice(0, MAX_NAMES).join(', ')}${more}.` }
  })
}
