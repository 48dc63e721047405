/**
 * The VMware server as the product uses it. Every call says what it did or throws with a code; every call that makes something may be
 * repeated: it finds what is there. It never deletes a disk that is attached to a VM, and never destroys a VM with disks outside its folder.
 */
import type { BootProof, ReplicaPlan } from '../domain/replica.ts'
import type { DiskFormat, Places, VirtualDisk } from '../domain/target.ts'

export type PowerState = 'on' | 'off' | 'suspended'

export interface NewVm {
  plan: ReplicaPlan
  /** in the order of the plan; they are attached to no VM now */
  disks: readonly VirtualDisk[]
  /** kept in the VM's annotation and extraConfig, so that a restart recognises its own VM */
  jobId: string
}

export interface Hypervisor extends AsyncDisposable {
  /** Inventory for the host on which the appliance VM runs. @throws {AppError} VSPHERE_LOGIN, VSPHERE_UNREACHABLE, CERTIFICATE_CHANGED, VSPHERE_NOT_FOUND (appliance VM) */
  places(signal: AbortSignal): Promise<Places>
  /** Creates the disk file (and its folder); an existing one of the same size at the same path is taken as it is. @throws {AppError} VSPHERE_NO_SPACE, VSPHERE_EXISTS (other size), DATASTORE_NOT_FOUND */
  createDisk(path: string, sizeBytes: number, format: DiskFormat, signal: AbortSignal): Promise<VirtualDisk>
  /**
   * Copies the whole disk, which is attached to nothing, to a new file in the same format (and makes its folder). What an earlier try left there is deleted first by the caller.
   * @throws {AppError} VSPHERE_EXISTS, VSPHERE_BUSY when the disk is attached to a VM, VSPHERE_NO_SPACE
   */
  copyDisk(disk: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk>
  /**
   * Makes a child of the disk, which is attached to nothing, and attaches it to the appliance VM: it shows what the disk holds, takes next to no room, and what is written to it
   * stays in it. While there is a child nobody may write to the disk; there may be several, on several VMs. What an earlier try left at the path is deleted first by the caller.
   * @throws {AppError} VSPHERE_EXISTS, VSPHERE_BUSY when the disk is attached to a VM, VSPHERE_NOT_FOUND, VSPHERE_STATE (no free slot)
   */
  attachChild(parent: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk>
  /** Attaches the disk to the appliance VM in a free slot; reads the device back and answers with its UUID. @throws {AppError} VSPHERE_BUSY, VSPHERE_STATE (no free slot) */
  attachDisk(disk: VirtualDisk, signal: AbortSignal): Promise<VirtualDisk>
  /** Detaches the disks from the appliance VM, keeping their files; nothing for those that are not attached. */
  detachDisks(disks: readonly VirtualDisk[], signal: AbortSignal): Promise<void>
  /** Deletes the disk file; nothing when it is gone. @throws {AppError} VSPHERE_BUSY when it is attached to a VM */
  deleteDisk(disk: VirtualDisk, signal: AbortSignal): Promise<void>
  /** Builds the replica VM around the disks, powered off; finds its own one from an earlier try. Answers its id. @throws {AppError} VM_NAME_TAKEN, NETWORK_NOT_FOUND */
  createVm(vm: NewVm, signal: AbortSignal): Promise<string>
  power(vmId: string, to: 'on' | 'off', signal: AbortSignal): Promise<void>
  powerState(vmId: string, signal: AbortSignal): Promise<PowerState>
  /** What the replica reported through its tools (guestinfo.landfall.boot), or undefined so far. */
  bootReport(vmId: string, signal: AbortSignal): Promise<BootProof | undefined>
  /** What the VM shows on its screen now, as PNG of at most 16 MiB; undefined when it is off, or the server makes none. @throws {AppError} VSPHERE_NOT_FOUND, VSPHERE_FAULT */
  screenshot(vmId: string, signal: AbortSignal): Promise<Buffer | undefined>
  /** Powers off, detaches the disks (their files stay), unregisters and removes the VM's own files; nothing when it is gone. */
  removeVm(vmId: string, signal: AbortSignal): Promise<void>
}
