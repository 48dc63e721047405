import t from 'tap'
import type { PlannedAdapter } from '../../../src/domain/replica.ts'
import type { SiteNetwork } from '../../../src/hypervisor/vsphere-inventory.ts'
import { ref, request, vim } from '../../../src/hypervisor/vsphere-object.ts'
import { attachSpec, detachSpec } from '../../../src/hypervisor/vsphere-disks.ts'
import { configPath, findNetwork, vmSpec } from '../../../src/hypervisor/vsphere-vm-spec.ts'
import { planOf } from '../../contract/hypervisor.contract.ts'
import { elementsSent, orderOf } from './sent-elements.ts'

const NETWORKS: SiteNetwork[] = [
  { ref: ref('Network', 'network-1'), id: 'network-1', name: 'VM Network', kind: 'standard' },
  { ref: ref('DistributedVirtualPortgroup', 'dvportgroup-2'), id: 'dvportgroup-2', name: 'A/B', kind: 'distributed', switchUuid: '50 2a', portgroupKey: 'dvportgroup-2' },
]
const disk = (n: number) => ({ path: `[big] web/disk${String(n)}.vmdk`, sizeBytes: 1 << 20, uuid: '' })
const plan = planOf('web/1', ['VM Network', 'A/B'], 'web')

// The orders below are those of the vSphere API reference, written out again on purpose: vCenter refuses any other, and vcsim takes all.
const CONFIG = ['name', 'guestId', 'annotation', 'files', 'numCPUs', 'numCoresPerSocket', 'memoryMB', 'deviceChange', 'extraConfig', 'bootOptions', 'firmware']
const DEVICE = ['key', 'deviceInfo', 'backing', 'connectable', 'controllerKey', 'unitNumber']
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  VirtualMachineConfigSpec: CONFIG,
  VirtualMachineFileInfo: ['vmPathName'],
  VirtualMachineBootOptions: ['efiSecureBootEnabled'],
  VirtualDeviceConfigSpec: ['operation', 'fileOperation', 'device', 'profile', 'backing'],
  ParaVirtualSCSIController: [...DEVICE, 'busNumber', 'device', 'hotAddRemove', 'sharedBus', 'scsiCtlrUnitNumber'],
  VirtualLsiLogicController: [...DEVICE, 'busNumber', 'device', 'hotAddRemove', 'sharedBus', 'scsiCtlrUnitNumber'],
  VirtualDisk: [...DEVICE, 'capacityInKB', 'capacityInBytes'],
  VirtualDiskFlatVer2BackingInfo: ['fileName', 'datastore', 'backingObjectId', 'diskMode', 'split', 'writeThrough', 'thinProvisioned', 'eagerlyScrub', 'uuid'],
  VirtualVmxnet3: [...DEVICE, 'addressType', 'macAddress', 'wakeOnLanEnabled'],
  VirtualE1000e: [...DEVICE, 'addressType', 'macAddress', 'wakeOnLanEnabled'],
  VirtualE1000: [...DEVICE, 'addressType', 'macAddress', 'wakeOnLanEnabled'],
  VirtualEthernetCardNetworkBackingInfo: ['deviceName', 'useAutoDetect', 'network', 'inPassthroughMode'],
  VirtualEthernetCardDistributedVirtualPortBackingInfo: ['port'],
  DistributedVirtualSwitchPortConnection: ['switchUuid', 'portgroupKey', 'portKey', 'connectionCookie'],
  VirtualDeviceConnectInfo: ['startConnected', 'allowGuestControl', 'connected', 'status'],
  OptionValue: ['key', 'value'],
  FileBackedVirtualDiskSpec: ['diskType', 'adapterType', 'capacityKb', 'profile', 'crypto'],
  HostDatastoreBrowserSearchSpec: ['query', 'details', 'searchCaseInsensitive', 'matchPattern', 'sortFoldersFirst'],
  VmDiskFileQuery: ['filter', 'details'],
  VmDiskFileQueryFlags: ['diskType', 'capacityKb', 'hardwareVersion', 'controllerType', 'diskExtents', 'thin'],
  FileQueryFlags: ['fileType', 'fileSize', 'modification', 'fileOwner'],
  PropertyFilterSpec: ['propSet', 'objectSet', 'reportMissingObjectsInResults'],
  PropertySpec: ['type', 'all', 'pathSet'],
  ObjectSpec: ['obj', 'skip', 'selectSet'],
  TraversalSpec: ['name', 'type', 'path', 'skip', 'selectSet'],
  RetrieveOptions: ['maxObjects'],
  WaitOptions: ['maxWaitSeconds', 'maxObjectUpdates'],
}

const machine = ref('VirtualMachine', 'vm-1')
const uefi = { ...plan, firmware: 'uefi' as const, controller: 'lsilogic' as const, adapters: plan.adapters.flatMap((a): PlannedAdapter[] => [{ ...a, type: 'e1000e' }, { ...a, type: 'e1000' }]) }
const SENT: readonly [Parameters<typeof request>[0], Record<string, unknown>][] = [
  ['CreateVM_Task', request('CreateVM_Task', ref('Folder', 'f'), { config: vmSpec({ plan, disks: [disk(0), disk(1)], jobId: 'job-1' }, NETWORKS), pool: ref('ResourcePool', 'p'), host: ref('HostSystem', 'h') })],
  ['CreateVM_Task', request('CreateVM_Task', ref('Folder', 'f'), { config: vmSpec({ plan: uefi, disks: [disk(0)], jobId: 'job-1' }, NETWORKS), pool: ref('ResourcePool', 'p') })],
  ['ReconfigVM_Task', request('ReconfigVM_Task', machine, { spec: attachSpec(disk(0), { newBus: 1, unitNumber: 0 }) })],
  ['ReconfigVM_Task', request('ReconfigVM_Task', machine, { spec: detachSpec([{ key: 2000, path: '', parents: [], controllerKey: 1000, unitNumber: 0, uuid: '', sizeBytes: 1024 }]) })],
  ['CreateVirtualDisk_Task', request('CreateVirtualDisk_Task', ref('VirtualDiskManager', 'v'), { name: '[a] b', datacenter: ref('Datacenter', 'd'), spec: vim('FileBackedVirtualDiskSpec', { capacityKb: 1, adapterType: 'a', diskType: 't' }) })],
  ['SearchDatastore_Task', request('SearchDatastore_Task', ref('HostDatastoreBrowser', 'b'), { datastorePath: '[a]', searchSpec: vim('HostDatastoreBrowserSearchSpec', {
    matchPattern: ['*'], details: vim('FileQueryFlags', { modification: false, fileSize: true, fileType: true, fileOwner: false }),
    query: [vim('VmDiskFileQuery', { details: vim('VmDiskFileQueryFlags', { hardwareVersion: false, capacityKb: true, diskType: false }) })],
  }) })],
  ['RetrievePropertiesEx', request('RetrievePropertiesEx', ref('PropertyCollector', 'p'), { options: vim('RetrieveOptions', { maxObjects: 1 }), specSet: [vim('PropertyFilterSpec', {
    objectSet: [vim('ObjectSpec', { selectSet: [vim('TraversalSpec', { skip: false, path: 'view', type: 'ContainerView', name: 'v' })], skip: true, obj: machine })],
    propSet: [vim('PropertySpec', { pathSet: ['name'], all: false, type: 'VirtualMachine' })],
  })] })],
  ['WaitForUpdatesEx', request('WaitForUpdatesEx', ref('PropertyCollector', 'p'), { options: vim('WaitOptions', { maxWaitSeconds: 1 }), version: '1' })],
]

t.test('every typed object leaves with its fields in the order of the schema', async t => {
  const seen = new Set<string>()
  for (const [operation, args] of SENT) {
    for (const { type, children } of await elementsSent(operation, args)) {
      const expected = ORDERS[type]
      if (expected === undefined) { t.fail(`the order of ${type} is not written down here`); continue }
      t.strictSame(children, orderOf(expected, children), `${operation}: ${type}`)
      seen.add(type)
    }
  }
  t.strictSame(Object.keys(ORDERS).filter(type => !seen.has(type)), [], 'each order was put to use')
})

t.test('the disks are in the order of the plan, on 0:0 and on, each with its path', async t => {
  const many = Array.from({ length: 16 }, (_, n) => disk(n))
  const spec = JSON.stringify(vmSpec({ plan, disks: many, jobId: 'j' }, NETWORKS))
  t.match(spec, /disk6\.vmdk".*"unitNumber":6.*disk7\.vmdk".*"unitNumber":8.*disk14\.vmdk".*"unitNumber":15.*disk15\.vmdk".*"controllerKey":-102,"unitNumber":0/)
})

t.test('more disks than a VM has slots are refused', async t => {
  t.throws(() => vmSpec({ plan, disks: Array.from({ length: 61 }, (_, n) => disk(n)), jobId: 'j' }, NETWORKS), { code: 'VSPHERE_STATE', message: /61 disks/ })
})

t.test('the name is escaped as vSphere keeps it, and its file has no character that a file name cannot hold', async t => {
  t.match(vmSpec({ plan, disks: [], jobId: 'j' }, NETWORKS), { name: 'web%2f1', files: { vmPathName: '[big] web/web_1.vmx' } })
  t.equal(configPath(plan), '[big] web/web_1.vmx')
})

t.test('sockets and cores, memory and firmware are those of the plan', async t => {
  t.match(vmSpec({ plan, disks: [], jobId: 'j' }, NETWORKS), { numCPUs: 4, numCoresPerSocket: 2, memoryMB: 2048, firmware: 'bios', guestId: 'debian12_64Guest' })
  t.match(vmSpec({ plan: uefi, disks: [], jobId: 'j' }, NETWORKS), { firmware: 'efi', bootOptions: { efiSecureBootEnabled: false } })
})

t.test('a network that is not there is NETWORK_NOT_FOUND and the message lists those that are', async t => {
  t.throws(() => findNetwork(NETWORKS, 'gone'), { code: 'NETWORK_NOT_FOUND', message: 'the host of the appliance has no network "gone"; it has VM Network, A/B' })
})
