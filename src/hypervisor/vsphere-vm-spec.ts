/** What a replica's VM consists of, as vSphere wants to be told. Decides; makes no call. */
import { AppError } from '../errors/app-error.ts'
import type { PlannedAdapter, ReplicaPlan } from '../domain/replica.ts'
import type { VirtualDisk } from '../domain/target.ts'
import { formatDatastorePath } from './datastore-path.ts'
import type { NewVm } from './hypervisor.ts'
import { slotOfDisk } from './vsphere-devices.ts'
import { keptName, type SiteNetwork } from './vsphere-inventory.ts'
import { anyString, vim, type VimObject } from './vsphere-object.ts'

/** The key of extraConfig that holds the id of the job a VM was made by. */
export const JOB_KEY = 'landfall.job'

// Keys of devices that do not exist yet are negative and ours to choose.
const CONTROLLER_KEY = -101
const DISK_KEY = -201
const ADAPTER_KEY = -301
const MAX_DISKS = 60

const CONTROLLERS = { pvscsi: 'ParaVirtualSCSIController', lsilogic: 'VirtualLsiLogicController' } as const satisfies Record<ReplicaPlan['controller'], string>
const ADAPTERS = { vmxnet3: 'VirtualVmxnet3', e1000e: 'VirtualE1000e', e1000: 'VirtualE1000' } as const satisfies Record<PlannedAdapter['type'], string>

/** The network of this name. @throws {AppError} NETWORK_NOT_FOUND */
export function findNetwork(networks: readonly SiteNetwork[], name: string): SiteNetwork {
  const found = networks.find(n => n.name === name)
  if (found === undefined) {
    throw new AppError('NETWORK_NOT_FOUND', `the host of the appliance has no network "${name}"; it has ${networks.map(n => n.name).join(', ')}`)
  }
  return found
}

/** The path of the VM's configuration file: in the replica's folder, named like the VM, without what a file name cannot hold. */
export function configPath(plan: ReplicaPlan): string {
  const file = `${plan.vmName.replace(/[/\\%:*?"<>|[\]]/g, '_')}.vmx`
  return formatDatastorePath({ datastore: plan.datastore, folder: plan.folder, file })
}

/** The annotation by which people recognise a replica. */
export function annotation(jobId: string): string {
  return `Made by Landfall (job ${jobId}).`
}

/**
 * The VM of a plan around these disks: disk n at the n-th slot (0:0, 0:1 … without 7), adapters in order with the planned MAC addresses.
 * @throws {AppError} NETWORK_NOT_FOUND, VSPHERE_STATE when there are more disks than slots
 */
export function vmSpec({ plan, disks, jobId }: NewVm, networks: readonly SiteNetwork[]): VimObject {
  if (disks.length > MAX_DISKS) throw new AppError('VSPHERE_STATE', `cannot build the VM ${plan.vmName}: it has ${String(disks.length)} disks, and a VM takes ${String(MAX_DISKS)}`)
  const devices = [...controllers(plan, disks.length), ...disks.map(diskDevice), ...plan.adapters.map((a, i) => adapterDevice(a, i, findNetwork(networks, a.network)))]
  return vim('VirtualMachineConfigSpec', {
    name: keptName(plan.vmName), guestId: plan.guestId, annotation: annotation(jobId),
    files: vim('VirtualMachineFileInfo', { vmPathName: configPath(plan) }),
    numCPUs: plan.sockets * plan.coresPerSocket, numCoresPerSocket: plan.coresPerSocket, memoryMB: plan.memoryMiB,
    deviceChange: devices.map(device => vim('VirtualDeviceConfigSpec', { operation: 'add', device })),
    // Without EnableUUID the disks have no serial number inside the replica.
    extraConfig: [option('disk.EnableUUID', 'TRUE'), option(JOB_KEY, jobId)],
    firmware: plan.firmware === 'uefi' ? 'efi' : 'bios',
    // The keys that the source's owner enrolled do not travel.
    ...plan.firmware === 'uefi' ? { bootOptions: vim('VirtualMachineBootOptions', { efiSecureBootEnabled: false }) } : {},
  })
}

function controllers(plan: ReplicaPlan, disks: number): VimObject[] {
  const buses = Math.max(1, (slotOfDisk(disks - 1)?.bus ?? 0) + 1)
  return Array.from({ length: buses }, (_, bus) => vim(CONTROLLERS[plan.controller], { key: CONTROLLER_KEY - bus, busNumber: bus, sharedBus: 'noSharing' }))
}

function diskDevice(disk: VirtualDisk, index: number): VimObject {
  const slot = slotOfDisk(index) ?? { bus: 0, unit: 0 } // their number was checked
  return vim('VirtualDisk', {
    key: DISK_KEY - index, controllerKey: CONTROLLER_KEY - slot.bus, unitNumber: slot.unit, capacityInKB: disk.sizeBytes / 1024,
    backing: vim('VirtualDiskFlatVer2BackingInfo', { fileName: disk.path, diskMode: 'persistent' }),
  })
}

function adapterDevice(adapter: PlannedAdapter, index: number, network: SiteNetwork): VimObject {
  const backing = network.kind === 'distributed'
    ? vim('VirtualEthernetCardDistributedVirtualPortBackingInfo', {
        port: vim('DistributedVirtualSwitchPortConnection', { switchUuid: network.switchUuid ?? '', portgroupKey: network.portgroupKey ?? network.id }),
      })
    : vim('VirtualEthernetCardNetworkBackingInfo', { deviceName: keptName(network.name), network: network.ref })
  return vim(ADAPTERS[adapter.type], {
    key: ADAPTER_KEY - index, backing, connectable: vim('VirtualDeviceConnectInfo', { startConnected: true, allowGuestControl: true, connected: true }),
    addressType: 'manual', macAddress: adapter.mac.toLowerCase(), wakeOnLanEnabled: true,
  })
}

function option(key: string, value: string): VimObject {
  return vim('OptionValue', { key, value: anyString(value) })
}
