import { createHash } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import type { BootProof } from '../domain/replica.ts'
import type { Datastore, DiskFormat, Places, TargetNetwork, VirtualDisk } from '../domain/target.ts'
import { parseDatastorePath } from './datastore-path.ts'
import type { Hypervisor, NewVm, PowerState } from './hypervisor.ts'

/** What a MemoryHypervisor starts with; the defaults are one datastore of 1 TiB and one network. */
export interface MemoryInventory {
  applianceVm?: string
  datastores?: readonly Datastore[]
  networks?: readonly TargetNetwork[]
  /** VMs that are not ours */
  vmNames?: readonly string[]
}

interface MemoryDisk { path: string, sizeBytes: number, format: DiskFormat, holder: string | undefined, parent?: string }
interface MemoryVm { id: string, name: string, jobId: string, disks: readonly string[], power: PowerState, boot?: BootProof, screen?: Buffer }

const TIB = 2 ** 40
const APPLIANCE_SLOTS = 59 // 4 controllers with 15 disks, without the appliance's own
const APPLIANCE = 'appliance'

/** The Hypervisor of tests: an inventory in memory that keeps the interface's promises and runs nothing. */
export class MemoryHypervisor implements Hypervisor {
  readonly #applianceVm: string
  readonly #datastores: readonly Datastore[]
  readonly #networks: readonly TargetNetwork[]
  readonly #otherVms: readonly string[]
  readonly #disks = new Map<string, MemoryDisk>()
  readonly #vms = new Map<string, MemoryVm>()
  #made = 0

  constructor(inventory: MemoryInventory = {}) {
    this.#applianceVm = inventory.applianceVm ?? 'landfall-appliance'
    this.#datastores = inventory.datastores ?? [{ name: 'datastore1', id: 'datastore-1', capacityBytes: TIB, freeBytes: TIB, maxFileBytes: 62 * TIB, accessible: true }]
    this.#networks = inventory.networks ?? [{ name: 'VM Network', id: 'network-1', kind: 'standard' }]
    this.#otherVms = inventory.vmNames ?? []
  }

  async places(signal: AbortSignal): Promise<Places> {
    signal.throwIfAborted()
    return {
      product: 'VMware vCenter Server (in memory)', apiVersion: '8.0', datacenter: 'Lab', host: 'esx1.lab.example', hostConnected: true, maintenance: false,
      applianceVm: this.#applianceVm,
      datastores: this.#datastores.map(d => ({ ...d, freeBytes: this.#freeBytes(d) })), networks: this.#networks.map(n => ({ ...n })),
      vmNames: [this.#applianceVm, ...this.#otherVms, ...[...this.#vms.values()].map(vm => vm.name)],
    }
  }

  async createDisk(path: string, wantedBytes: number, format: DiskFormat, signal: AbortSignal): Promise<VirtualDisk> {
    signal.throwIfAborted()
    const store = this.#datastore(path)
    const sizeBytes = Math.ceil(wantedBytes / 1024) * 1024
    const there = this.#disks.get(path)
    if (there !== undefined && there.sizeBytes !== sizeBytes) throw new AppError('VSPHERE_EXISTS', `cannot create the disk ${path}: a disk of ${String(there.sizeBytes)} bytes exists there`)
    if (there === undefined) {
      const room = format === 'thin' ? store.capacityBytes : this.#freeBytes(store)
      if (sizeBytes > Math.min(room, store.maxFileBytes ?? room)) throw new AppError('VSPHERE_NO_SPACE', `cannot create the disk ${path}: the datastore has ${String(room)} bytes`)
      this.#disks.set(path, { path, sizeBytes, format, holder: undefined })
    }
    return { path, sizeBytes, uuid: '' }
  }

  async copyDisk(disk: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    signal.throwIfAborted()
    this.#datastore(path)
    const found = this.#disks.get(disk.path)
    if (found === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot copy the disk ${disk.path}: the file does not exist`)
    if (found.holder !== undefined) throw new AppError('VSPHERE_BUSY', `cannot copy the disk ${disk.path}: it is attached to a VM`)
    if (this.#disks.has(path)) throw new AppError('VSPHERE_EXISTS', `cannot copy the disk ${disk.path}: there is a disk ${path}`)
    this.#disks.set(path, { ...found, path })
    return { path, sizeBytes: found.sizeBytes, uuid: '' }
  }

  async attachChild(parent: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    const { sizeBytes } = await this.copyDisk(parent, path, signal)
    this.#disks.set(path, { path, sizeBytes, format: 'thin', holder: undefined, parent: parent.path })
    return await this.attachDisk({ path, sizeBytes, uuid: '' }, signal)
  }

  async attachDisk(disk: VirtualDisk, signal: AbortSignal): Promise<VirtualDisk> {
    signal.throwIfAborted()
    const found = this.#disks.get(disk.path)
    if (found === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot attach the disk ${disk.path}: the file does not exist`)
    if ([...this.#disks.values()].some(d => d.parent === disk.path && d.holder !== undefined)) throw new AppError('VSPHERE_BUSY', `cannot attach the disk ${disk.path}: it has a child that is in use`)
    if (found.holder === undefined) {
      const attached = [...this.#disks.values()].filter(d => d.holder === APPLIANCE).length
      if (attached >= APPLIANCE_SLOTS) throw new AppError('VSPHERE_STATE', `cannot attach the disk ${disk.path}: all SCSI slots of the appliance are taken`)
      found.holder = APPLIANCE
    }
    if (found.holder !== APPLIANCE) throw new AppError('VSPHERE_BUSY', `cannot attach the disk ${disk.path}: it is attached to the VM ${this.#vms.get(found.holder)?.name ?? ''}`)
    return { path: found.path, sizeBytes: found.sizeBytes, uuid: createHash('sha256').update(found.parent ?? found.path).digest('hex').slice(0, 32) }
  }

  async detachDisks(disks: readonly VirtualDisk[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (const { path } of disks) {
      const found = this.#disks.get(path)
      if (found?.holder === APPLIANCE) found.holder = undefined
    }
  }

  async deleteDisk(disk: VirtualDisk, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#datastore(disk.path)
    if (this.#disks.get(disk.path)?.holder !== undefined) throw new AppError('VSPHERE_BUSY', `cannot delete the disk ${disk.path}: it is attached to a VM`)
    this.#disks.delete(disk.path)
  }

  async createVm({ plan, disks, jobId }: NewVm, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const own = [...this.#vms.values()].find(vm => vm.name === plan.vmName)
    if (own?.jobId === jobId) return own.id
    if (own !== undefined || [this.#applianceVm, ...this.#otherVms].includes(plan.vmName)) {
      throw new AppError('VM_NAME_TAKEN', `cannot create the VM ${plan.vmName}: another VM has this name`)
    }
    const unknown = plan.adapters.find(a => !this.#networks.some(n => n.name === a.network))
    if (unknown !== undefined) throw new AppError('NETWORK_NOT_FOUND', `there is no network "${unknown.network}"`)
    for (const { path } of disks) {
      const disk = this.#disks.get(path)
      if (disk === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot create the VM ${plan.vmName}: the disk ${path} does not exist`)
      if (disk.holder !== undefined) throw new AppError('VSPHERE_BUSY', `cannot create the VM ${plan.vmName}: the disk ${path} is attached to a VM`)
    }
    const id = `vm-${String(this.#made += 1)}`
    for (const { path } of disks) this.#hold(path, id)
    this.#vms.set(id, { id, name: plan.vmName, jobId, disks: disks.map(d => d.path), power: 'off' })
    return id
  }

  async power(vmId: string, to: 'on' | 'off', signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#vm(vmId).power = to
  }

  async powerState(vmId: string, signal: AbortSignal): Promise<PowerState> {
    signal.throwIfAborted()
    return this.#vm(vmId).power
  }

  async bootReport(vmId: string, signal: AbortSignal): Promise<BootProof | undefined> {
    signal.throwIfAborted()
    return this.#vm(vmId).boot
  }

  async screenshot(vmId: string, signal: AbortSignal): Promise<Buffer | undefined> {
    signal.throwIfAborted()
    const { power, screen } = this.#vm(vmId)
    return power === 'on' ? screen : undefined
  }

  async removeVm(vmId: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (const path of this.#vms.get(vmId)?.disks ?? []) this.#hold(path, undefined)
    this.#vms.delete(vmId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // holds nothing
  }

  /** For tests: what the replica's first boot reports. */
  reportBoot(vmId: string, proof: BootProof): void {
    this.#vm(vmId).boot = proof
  }

  /** For tests: what the VM shows while it is on. */
  showScreen(vmId: string, png: Buffer): void {
    this.#vm(vmId).screen = png
  }

  /** For tests: the disks that exist and who has them ('appliance', a VM's id, or undefined). */
  disks(): readonly { path: string, sizeBytes: number, holder: string | undefined }[] {
    return [...this.#disks.values()].map(({ path, sizeBytes, holder }) => ({ path, sizeBytes, holder }))
  }

  #vm(id: string): MemoryVm {
    const vm = this.#vms.get(id)
    if (vm === undefined) throw new AppError('VSPHERE_NOT_FOUND', `there is no VM ${id}`)
    return vm
  }

  #hold(path: string, holder: string | undefined): void {
    const disk = this.#disks.get(path)
    if (disk !== undefined) disk.holder = holder
  }

  #datastore(path: string): Datastore {
    const { datastore } = parseDatastorePath(path)
    const found = this.#datastores.find(d => d.name === datastore)
    if (found?.accessible !== true) throw new AppError('DATASTORE_NOT_FOUND', `there is no datastore "${datastore}"`)
    return found
  }

  #freeBytes(store: Datastore): number {
    const taken = [...this.#disks.values()].filter(d => d.format !== 'thin' && parseDatastorePath(d.path).datastore === store.name)
    return Math.max(0, store.freeBytes - taken.reduce((sum, d) => sum + d.sizeBytes, 0))
  }
}
