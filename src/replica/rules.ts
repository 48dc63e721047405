/** What must hold before a job starts, as one table. A rule without a problem is shown as ok, so that people see what was looked at. */
import { CODES } from '../errors/codes.ts'
import { BOOT_RULES } from './rules-boot.ts'
import { CAPTURE_RULES } from './rules-capture.ts'
import { LAYOUT_RULES } from './rules-layout.ts'
import { chosenVolumes } from './plan.ts'
import { when, type Problem, type Rule, type RuleInput } from './rule.ts'
import { whyVolumeUnsupported } from './unsupported-volume.ts'

const MIB = 1 << 20
const GIB = 2 ** 30
/** Below this a volume that looks full on the source leaves no room for the boot fix-ups (cutover.md C03). */
const FREE_ON_ROOT_BYTES = 100 * MIB
const FREE_ON_BOOT_BYTES = 50 * MIB
/** Four controllers with fifteen disks, less the appliance's own. */
const MAX_DISKS = 59

export const RULES: readonly Rule[] = [
  { code: 'HOST_CONNECTED', severity: 'error', title: 'the target host is connected and not in maintenance', advice: 'Connect the host, or end its maintenance mode.', check: ({ places }) => [
    ...when(!places.hostConnected, places.host, 'the host is not connected'), ...when(places.maintenance, places.host, 'the host is in maintenance mode'),
  ] },
  { code: 'DATASTORE_NOT_FOUND', severity: 'error', title: 'the datastore exists and can be reached', advice: CODES.DATASTORE_NOT_FOUND.operator, check: ({ options, places }) => {
    const datastore = places.datastores.find(d => d.name === options.datastore)
    return [...when(datastore === undefined, options.datastore, `there is no datastore ${options.datastore} on ${places.host}`), ...when(datastore?.accessible === false, options.datastore, `the host cannot reach datastore ${options.datastore} now`)]
  } },
  { code: 'DATASTORE_TOO_SMALL', severity: 'error', title: 'the datastore has room for every disk', advice: CODES.DATASTORE_TOO_SMALL.operator, check: checkSpace },
  { code: 'DATASTORE_OVERCOMMITTED', severity: 'warning', title: 'the datastore has room for the disks at their full size', advice: 'Watch the free space of the datastore, or choose a larger one: thin disks grow.', check: input => {
    const free = input.places.datastores.find(d => d.name === input.options.datastore)?.freeBytes
    const full = sum(input.plan.disks.map(d => d.sizeBytes))
    return when(free !== undefined && input.options.diskFormat === 'thin' && full > free && checkSpace(input).length === 0, input.options.datastore, `the disks have ${gib(full)} at their full size, the datastore has ${gib(free ?? 0)} free`)
  } },
  { code: 'DISK_TOO_LARGE', severity: 'error', title: 'every disk fits the largest file of the datastore', advice: 'Choose a datastore with larger files (VMFS 6).', check: ({ options, places, plan }) => {
    const max = places.datastores.find(d => d.name === options.datastore)?.maxFileBytes
    return plan.disks.filter(d => max !== undefined && d.sizeBytes > max).map(d => ({ subject: d.sourceDisk, message: `the disk for ${d.sourceDisk} has ${gib(d.sizeBytes)}, the datastore takes files up to ${gib(max ?? 0)}` }))
  } },
  { code: 'DISK_COUNT', severity: 'error', title: 'the appliance has a slot for every disk', advice: 'Leave volumes out of the job.', check: ({ plan }) => when(plan.disks.length > MAX_DISKS, 'disks', `the job has ${String(plan.disks.length)} disks, the appliance takes ${String(MAX_DISKS)}`) },
  { code: 'VM_NAME_TAKEN', severity: 'error', title: 'the name of the replica is free', advice: CODES.VM_NAME_TAKEN.operator, check: ({ options, places }) => when(places.vmNames.includes(options.vmName), options.vmName, `there is a VM ${options.vmName} already`) },
  { code: 'NETWORK_NOT_FOUND', severity: 'error', title: 'every network adapter has a network that exists, or is discarded', advice: CODES.NETWORK_NOT_FOUND.operator, check: ({ plan, places }) => plan.adapters.flatMap(a => [
    ...when(a.network === '', a.sourceName, `adapter ${a.sourceName} (${a.sourceMac}) is mapped to no network and there is no default network`),
    ...when(a.network !== '' && !places.networks.some(n => n.name === a.network), a.sourceName, `there is no network ${a.network} on ${places.host} for adapter ${a.sourceName}`),
  ]) },
  { code: 'NETWORK_MAPPING_UNUSED', severity: 'warning', title: 'every network mapping is for an adapter of the source', advice: 'Correct the MAC address in the mapping, or remove it.', check: ({ options, workload }) =>
    options.networks.filter(m => !workload.adapters.some(a => a.macAddress === m.sourceMac.toLowerCase())).map(m => ({ subject: m.sourceMac, message: `the source has no adapter with the MAC address ${m.sourceMac}` })) },
  { code: 'REPLICA_NOT_REACHABLE', severity: 'warning', title: 'the replica has a network adapter', advice: 'Map at least one adapter to a network.', check: ({ plan }) => when(plan.adapters.length === 0, 'network', 'all adapters are discarded: the replica cannot be reached over the network') },
  { code: 'MEMORY_BELOW_SOURCE', severity: 'warning', title: 'the replica has as much memory as the source', advice: 'Give the replica more memory, or make sure that its programs get along with less.', check: ({ plan, workload }) =>
    when(plan.memoryMiB * MIB < workload.memoryBytes, 'memory', `the replica has ${String(plan.memoryMiB)} MiB, the source ${String(Math.round(workload.memoryBytes / MIB))} MiB`) },
  { code: 'CPU_BELOW_SOURCE', severity: 'warning', title: 'the replica has as many cores as the source', advice: 'Give the replica more cores, or make sure that its programs get along with fewer.', check: ({ plan, workload: { cpu } }) =>
    when(plan.sockets * plan.coresPerSocket < cpu.sockets * cpu.coresPerSocket, 'processors', `the replica has ${String(plan.sockets * plan.coresPerSocket)} cores, the source ${String(cpu.sockets * cpu.coresPerSocket)}`) },
  { code: 'VOLUME_NOT_FOUND', severity: 'error', title: 'every chosen volume exists on the source', advice: 'Correct the list of volumes; they are named by their mount points.', check: ({ options, workload }) =>
    options.volumes.filter(name => !workload.volumes.some(v => v.mountPoint === name || v.name === name)).map(name => ({ subject: name, message: `the source has no volume ${name}` })) },
  { code: 'SOURCE_UNSUPPORTED', severity: 'error', title: 'every volume of the job can be re-created', advice: CODES.SOURCE_UNSUPPORTED.operator, check: input => chosenVolumes(input.workload, input.options).flatMap(volume => {
    const reason = whyVolumeUnsupported(volume, input.plan, input.workload)
    return reason === undefined ? [] : [{ subject: volume.name, message: `volume ${volume.name} (${volume.fileSystem.typeName} on ${volume.device}) is not supported: ${reason}` }]
  }) },
  { code: 'FREE_SPACE', severity: 'error', title: 'the system volumes have room for what makes the replica boot', advice: 'Free space on the volume of the source.', check: ({ plan }) => plan.volumes.flatMap(({ volume: v }) => {
    const need = v.mountPoint === '/' ? FREE_ON_ROOT_BYTES : v.mountPoint === '/boot' ? FREE_ON_BOOT_BYTES : 0
    const free = v.sizeBytes - v.fileSystem.usedBytes
    return when(need > 0 && free < need, v.name, `${v.name} has ${String(Math.floor(free / MIB))} MiB free, ${String(need / MIB)} MiB are needed`)
  }) },
  ...CAPTURE_RULES,
  ...LAYOUT_RULES,
  ...BOOT_RULES,
]

/** Thin disks need what is used now; the other formats need all of it, at once or by and by. */
function checkSpace({ options, places, plan }: RuleInput): readonly Problem[] {
  const free = places.datastores.find(d => d.name === options.datastore)?.freeBytes
  if (free === undefined) return []
  const need = options.diskFormat === 'thin' ? sum([...usedBytes(plan).values()]) : sum(plan.disks.map(d => d.sizeBytes))
  return when(need > free, options.datastore, `the disks need ${gib(need)}, datastore ${options.datastore} has ${gib(free)} free`)
}

/** By device: subvolumes of one btrfs share what is used. */
function usedBytes({ volumes }: RuleInput['plan']): ReadonlyMap<string, number> {
  return new Map(volumes.map(({ volume }) => [volume.device, volume.fileSystem.usedBytes]))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`
}
