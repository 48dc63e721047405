import { AppError, isAppError } from '../errors/app-error.ts'
import type { Clock } from '../clock/clock.ts'
import type { DiskFormat, VirtualDisk } from '../domain/target.ts'
import { parseDatastorePath, samePath } from './datastore-path.ts'
import { freeSlot, readDevices, type AttachedDisk, type Slot } from './vsphere-devices.ts'
import { faultType } from './vsphere-faults.ts'
import { deleteWithFolder, diskSize, makeFolder } from './vsphere-files.ts'
import { readDatastore, shownName, text, type Site, type SiteDatastore } from './vsphere-inventory.ts'
import { vim, type Ref, type VimObject } from './vsphere-object.ts'
import { readObject, readObjects, type ManagedObject } from './vsphere-properties.ts'
import type { CallOptions, VsphereSession } from './vsphere-session.ts'
import { runTask, withPatience } from './vsphere-task.ts'

const DISK_TYPES: Readonly<Record<DiskFormat, string>> = { flat: 'preallocated', thick: 'eagerZeroedThick', thin: 'thin' }
const CREATE_BASE_MS = 10 * 60_000
const SLOWEST_ZEROING = 10 << 20 // bytes per second; what a thick disk is given time for
const NEW_CONTROLLER = -101
const NEW_DISK = -201

/** Refusals of a hot-add that pass by themselves: a slot taken meanwhile, a backup's snapshot, a move of the VM. */
const PASSING = ['InvalidDeviceSpec', 'GenericVmConfigFault', 'VmConfigFault']

/** What every call has: the login, and time. */
export interface VmWork { readonly session: VsphereSession, readonly clock: Clock, readonly signal: AbortSignal }

/** What calls around the appliance have beside it: where that stands now. */
export interface DiskWork extends VmWork { readonly site: Site }

/** See Hypervisor.createDisk. */
export async function createDisk({ session, site, signal }: DiskWork, path: string, wantedBytes: number, format: DiskFormat): Promise<VirtualDisk> {
  const place = parseDatastorePath(path)
  const sizeBytes = Math.ceil(wantedBytes / 1024) * 1024 // the API counts in KiB
  const doing = `create the disk ${path} (${String(sizeBytes)} bytes)`
  const store = await readDatastore(session, site, place.datastore, signal)
  const there = await diskSize(session, site, store, place, signal)
  if (there === sizeBytes) return { path, sizeBytes, uuid: '' }
  if (there !== undefined) throw new AppError('VSPHERE_EXISTS', `cannot ${doing}: a disk of ${String(there)} bytes exists there`)
  checkSpace(store, sizeBytes, format, doing)
  await makeFolder(session, site, place, signal)
  const spec = vim('FileBackedVirtualDiskSpec', { diskType: DISK_TYPES[format], adapterType: 'lsiLogic', capacityKb: sizeBytes / 1024 })
  const deadlineMs = CREATE_BASE_MS + (format === 'thick' ? sizeBytes / SLOWEST_ZEROING * 1000 : 0)
  await runTask(session, 'CreateVirtualDisk_Task', session.content.virtualDiskManager, { name: path, datacenter: site.datacenter, spec }, { signal, doing, deadlineMs })
  return { path, sizeBytes, uuid: '' }
}

/** See Hypervisor.copyDisk. The format is left to the server: each of them copies as the source is. */
export async function copyDisk({ session, site, signal }: DiskWork, disk: VirtualDisk, path: string): Promise<VirtualDisk> {
  const doing = `copy the disk ${disk.path} to ${path}`
  const [from, to] = [parseDatastorePath(disk.path), parseDatastorePath(path)]
  const fromStore = await readDatastore(session, site, from.datastore, signal)
  const toStore = from.datastore === to.datastore ? fromStore : await readDatastore(session, site, to.datastore, signal)
  await refuseHeld(session, fromStore, disk.path, doing, signal)
  if (await diskSize(session, site, toStore, to, signal) !== undefined) throw new AppError('VSPHERE_EXISTS', `cannot ${doing}: there is a disk`)
  await makeFolder(session, site, to, signal)
  const request = { sourceName: disk.path, sourceDatacenter: site.datacenter, destName: path, destDatacenter: site.datacenter, force: false }
  await runTask(session, 'CopyVirtualDisk_Task', session.content.virtualDiskManager, request, { signal, doing, deadlineMs: CREATE_BASE_MS + disk.sizeBytes / SLOWEST_ZEROING * 1000 })
  return { path, sizeBytes: disk.sizeBytes, uuid: '' }
}

function checkSpace(store: SiteDatastore, sizeBytes: number, format: DiskFormat, doing: string): void {
  if (store.maxFileBytes !== undefined && sizeBytes > store.maxFileBytes) {
    throw new AppError('VSPHERE_NO_SPACE', `cannot ${doing}: the datastore ${store.name} takes files up to ${String(store.maxFileBytes)} bytes`)
  }
  // A thin disk may promise more than there is, but not more than there will ever be.
  const room = format === 'thin' ? store.capacityBytes : store.freeBytes
  if (sizeBytes > room) {
    const word = format === 'thin' ? 'holds' : 'has'
    throw new AppError('VSPHERE_NO_SPACE', `cannot ${doing}: the datastore ${store.name} ${word} ${String(room)} bytes${format === 'thin' ? ' in all' : ' free'}`)
  }
}

/** See Hypervisor.attachDisk. The caller sees to it that one change of the appliance's VM is made at a time. */
export async function attachDisk(work: DiskWork, disk: VirtualDisk): Promise<VirtualDisk> {
  const { session, site, signal } = work
  const doing = `attach the disk ${disk.path} to ${site.vmName}`
  const [attached] = await attachedDisks(work, [disk])
  if (attached !== undefined) return described(disk, attached, doing)
  const store = await readDatastore(session, site, parseDatastorePath(disk.path).datastore, signal)
  await refuseHeld(session, store, disk.path, doing, signal)
  if (await diskSize(session, site, store, parseDatastorePath(disk.path), signal) === undefined) {
    throw new AppError('VSPHERE_NOT_FOUND', `cannot ${doing}: the file does not exist`)
  }
  return await hotAdd(work, disk, doing)
}

/** See Hypervisor.attachChild. As attachDisk. */
export async function attachChild(work: DiskWork, parent: VirtualDisk, path: string): Promise<VirtualDisk> {
  const { session, site, signal } = work
  const doing = `make ${path}, a child of ${parent.path}, and attach it to ${site.vmName}`
  const [from, to] = [parseDatastorePath(parent.path), parseDatastorePath(path)]
  const store = await readDatastore(session, site, from.datastore, signal)
  await refuseHeld(session, store, parent.path, doing, signal, { alsoChildren: false })
  if (await diskSize(session, site, store, from, signal) === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot ${doing}: ${parent.path} does not exist`)
  const toStore = from.datastore === to.datastore ? store : await readDatastore(session, site, to.datastore, signal)
  if (await diskSize(session, site, toStore, to, signal) !== undefined) throw new AppError('VSPHERE_EXISTS', `cannot ${doing}: there is a disk`)
  await makeFolder(session, site, to, signal)
  return await hotAdd(work, { path, sizeBytes: parent.sizeBytes, uuid: '' }, doing, parent)
}

async function hotAdd(work: DiskWork, disk: VirtualDisk, doing: string, parent?: VirtualDisk): Promise<VirtualDisk> {
  const { session, site, signal } = work
  return await withPatience(work, PASSING, async () => {
    const devices = await readVmDevices(session, site.vm, doing, signal)
    const slot = freeSlot(devices)
    if (slot === undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: all SCSI slots of the appliance are taken (4 controllers with 15 disks each)`)
    await runTask(session, 'ReconfigVM_Task', site.vm, { spec: attachSpec(disk, slot, parent) }, { signal, doing })
    const [found] = await attachedDisks(work, [disk])
    if (found === undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: the server reports success, and the disk is not among the devices`)
    return described(disk, found, doing)
  })
}

/** The change that adds the disk at the slot, as a new child when it has a parent, and the controller before it when the slot is on a new one. */
export function attachSpec(disk: VirtualDisk, slot: Slot, parent?: VirtualDisk): VimObject {
  const isNew = 'newBus' in slot
  const controller = isNew
    ? [vim('VirtualDeviceConfigSpec', { operation: 'add', device: vim('ParaVirtualSCSIController', { key: NEW_CONTROLLER, busNumber: slot.newBus, sharedBus: 'noSharing' }) })]
    : []
  // Independent: snapshots that a backup makes of the appliance must not fork the replica's disks. A child cannot be: it is one half of such a fork.
  const backing = vim('VirtualDiskFlatVer2BackingInfo', parent === undefined
    ? { fileName: disk.path, diskMode: 'independent_persistent' }
    : { fileName: disk.path, diskMode: 'persistent', parent: vim('VirtualDiskFlatVer2BackingInfo', { fileName: parent.path, diskMode: 'persistent' }) })
  const device = vim('VirtualDisk', {
    key: NEW_DISK, backing, controllerKey: isNew ? NEW_CONTROLLER : slot.controllerKey, unitNumber: slot.unitNumber, capacityInKB: disk.sizeBytes / 1024,
  })
  return vim('VirtualMachineConfigSpec', { deviceChange: [...controller, vim('VirtualDeviceConfigSpec', { operation: 'add', ...parent === undefined ? {} : { fileOperation: 'create' }, device })] })
}

/** The change that removes these disks from a VM and keeps their files. */
export function detachSpec(disks: readonly AttachedDisk[]): VimObject {
  return vim('VirtualMachineConfigSpec', { deviceChange: disks.map(d => vim('VirtualDeviceConfigSpec', {
    operation: 'remove',
    device: vim('VirtualDisk', { key: d.key, controllerKey: d.controllerKey, unitNumber: d.unitNumber, capacityInKB: Math.ceil(d.sizeBytes / 1024) }),
  })) })
}

/** See Hypervisor.detachDisks: in one change, which the source waits for at a cutover. One change of the appliance's VM at a time, as with attaching. */
export async function detachDisks(work: DiskWork, disks: readonly VirtualDisk[]): Promise<void> {
  const { session, site, signal } = work
  const doing = `detach ${disks.map(({ path }) => path).join(', ')} from ${site.vmName}`
  await withPatience(work, PASSING, async () => {
    const attached = await attachedDisks(work, disks)
    if (attached.length === 0) return
    await runTask(session, 'ReconfigVM_Task', site.vm, { spec: detachSpec(attached) }, { signal, doing })
    const [left] = await attachedDisks(work, disks)
    if (left !== undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: the server reports success, and ${left.path} is still among the devices`)
  })
}

/** See Hypervisor.deleteDisk. */
export async function deleteDisk(work: DiskWork, disk: VirtualDisk): Promise<void> {
  const { session, site, signal } = work
  const doing = `delete the disk ${disk.path}`
  const place = parseDatastorePath(disk.path)
  const store = await readDatastore(session, site, place.datastore, signal)
  await refuseHeld(session, store, disk.path, doing, signal)
  const name = place.file.replace(/\.vmdk$/, '')
  const isOurs = (file: string): boolean => file.startsWith(name) && /^(-flat|-ctk|-delta|-sesparse|-s\d+|-f\d+)?\.vmdk$/.test(file.slice(name.length))
  await deleteWithFolder(session, site, store, place, isOurs, signal, async () => {
    await withPatience(work, [], async () => {
      try {
        await runTask(session, 'DeleteVirtualDisk_Task', session.content.virtualDiskManager, { name: disk.path, datacenter: site.datacenter }, { signal, doing })
      } catch (error) {
        if (faultType(error) !== 'FileNotFound') throw error
      }
    })
  })
}

/** Throws VSPHERE_BUSY when the disk, or (left out) a child of it, belongs to a VM. The server's own lock tells it only while that VM runs. */
export async function refuseHeld(session: VsphereSession, store: SiteDatastore, path: string, doing: string, signal: AbortSignal, { alsoChildren = true } = {}): Promise<void> {
  const paths = ['name', 'config.hardware.device']
  const vms = await readObjects(session, store.vms, paths, { signal, doing }).catch(async (error: unknown) => {
    // One of the VMs went between the two reads, and that fails the reading of all.
    if (!isAppError(error, 'VSPHERE_NOT_FOUND')) throw error
    return await readThoseLeft(session, store.vms, paths, { signal, doing })
  })
  const holder = vms.find(vm => readDevices(vm.properties.get('config.hardware.device')).disks.some(d => [d.path, ...alsoChildren ? d.parents : []].some(held => samePath(held, path))))
  if (holder !== undefined) throw new AppError('VSPHERE_BUSY', `cannot ${doing}: ${path}${alsoChildren ? ', or a child of it,' : ''} is attached to the VM ${shownName(text(holder, 'name'))}`)
}

/** The devices of a VM as they are now. */
export async function readVmDevices(session: VsphereSession, vm: Ref, doing: string, signal: AbortSignal): Promise<ReturnType<typeof readDevices>> {
  const object = await readObject(session, vm, ['config.hardware.device'], { signal, doing })
  return readDevices(object.properties.get('config.hardware.device'))
}

async function attachedDisks({ session, site, signal }: DiskWork, disks: readonly VirtualDisk[]): Promise<readonly AttachedDisk[]> {
  const devices = await readVmDevices(session, site.vm, `read the devices of ${site.vmName}`, signal)
  return devices.disks.filter(d => disks.some(({ path }) => samePath(d.path, path)))
}

function described(disk: VirtualDisk, attached: AttachedDisk, doing: string): VirtualDisk {
  if (attached.uuid === '') throw new AppError('VSPHERE_STATE', `cannot ${doing}: the server tells no UUID of it, without which it is not found inside the appliance`)
  return { path: disk.path, sizeBytes: attached.sizeBytes === 0 ? disk.sizeBytes : attached.sizeBytes, uuid: attached.uuid }
}

async function readThoseLeft(session: VsphereSession, refs: readonly Ref[], paths: readonly string[], options: CallOptions): Promise<ManagedObject[]> {
  const left: ManagedObject[] = []
  for (const ref of refs) {
    const object = await readObject(session, ref, paths, options).catch((error: unknown) => {
      if (!isAppError(error, 'VSPHERE_NOT_FOUND')) throw error
      return undefined
    })
    if (object !== undefined) left.push(object)
  }
  return left
}
