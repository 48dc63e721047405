/** A VMware server reduced to what a job can tell: disks with their holder, VMs with their power. Refuses what the real one refuses. */
import { createHash } from 'node:crypto'
import { AppError } from '../../src/errors/app-error.ts'
import type { BootProof } from '../../src/domain/replica.ts'
import type { Places, VirtualDisk } from '../../src/domain/target.ts'
import type { Hypervisor, NewVm, PowerState } from '../../src/hypervisor/hypervisor.ts'
import type { MemoryVolumeStack } from '../../src/storage/memory-volume-stack.ts'

interface Vm { id: string, name: string, jobId: string, power: PowerState, disks: readonly string[], polls: number }

function uuidOf(path: string): string {
  return createHash('md5').update(path).digest('hex')
}

export class ScriptedHypervisor implements Hypervisor {
  readonly disks = new Map<string, { disk: VirtualDisk, holder: string, parent?: string }>()
  readonly vms = new Map<string, Vm>()
  readonly calls: string[] = []
  /** polls of a running VM before it reports; never, when it does not boot */
  bootsAfterPolls = 2
  /** what a running VM shows; a server that makes no screenshots, when there is nothing */
  screen: Buffer | undefined = Buffer.from('a screen')
  poweredOn: (vmName: string) => void = () => undefined
  readonly #volumes: MemoryVolumeStack
  readonly #hostName: string

  constructor(volumes: MemoryVolumeStack, hostName: string) {
    this.#volumes = volumes
    this.#hostName = hostName
  }

  async places(signal: AbortSignal): Promise<Places> {
    this.#called('places', signal)
    return {
      product: 'VMware ESXi 8.0', apiVersion: '8.0.2.0', datacenter: 'dc', host: 'esx', hostConnected: true, maintenance: false, applianceVm: 'appliance',
      datastores: [{ name: 'ds1', id: 'datastore-1', capacityBytes: 2 ** 41, freeBytes: 2 ** 40, accessible: true }],
      networks: [{ name: 'VM Network', id: 'network-1', kind: 'standard' }, { name: 'Isolated', id: 'network-2', kind: 'standard' }], vmNames: [...this.vms.values()].map(vm => vm.name),
    }
  }

  async createDisk(path: string, sizeBytes: number, _format: string, signal: AbortSignal): Promise<VirtualDisk> {
    this.#called('create-disk', signal)
    const disk = { path, sizeBytes, uuid: '' }
    if (!this.disks.has(path)) this.disks.set(path, { disk, holder: '' })
    return disk
  }

  async copyDisk(disk: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    this.#called('copy-disk', signal)
    return this.#copied(disk, path)
  }

  #copied(disk: VirtualDisk, path: string): VirtualDisk {
    const known = this.disks.get(disk.path)
    if (known?.holder !== '') throw new AppError('VSPHERE_BUSY', `${disk.path} hangs on ${known?.holder ?? 'nothing'}`)
    if (this.disks.has(path)) throw new AppError('VSPHERE_EXISTS', `there is ${path}`)
    const copy = { path, sizeBytes: disk.sizeBytes, uuid: '' }
    this.disks.set(path, { disk: copy, holder: '' })
    this.#volumes.copy(uuidOf(disk.path), uuidOf(path))
    return copy
  }

  async attachChild(parent: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    this.#called('attach-child', signal)
    const child = this.#copied(parent, path)
    this.disks.set(path, { disk: child, holder: '', parent: parent.path })
    return await this.attachDisk(child, signal)
  }

  async attachDisk(disk: VirtualDisk, signal: AbortSignal): Promise<VirtualDisk> {
    this.#called('attach-disk', signal)
    const known = this.disks.get(disk.path)
    if (known === undefined) throw new AppError('VSPHERE_NOT_FOUND', `there is no ${disk.path}`)
    if (known.holder !== '' && known.holder !== 'appliance') throw new AppError('VSPHERE_BUSY', `${disk.path} hangs on ${known.holder}`)
    // a host lets it be attached, and the child is worth nothing from then on
    const child = [...this.disks.values()].find(d => d.parent === disk.path)
    if (child !== undefined) throw new AppError('VSPHERE_BUSY', `${disk.path} has the child ${child.disk.path}`)
    const uuid = uuidOf(disk.path)
    this.disks.set(disk.path, { ...known, disk: { ...disk, uuid }, holder: 'appliance' })
    this.#volumes.attach(uuid)
    return { ...disk, uuid }
  }

  async detachDisks(disks: readonly VirtualDisk[], signal: AbortSignal): Promise<void> {
    this.#called('detach-disks', signal)
    for (const { path } of disks) {
      const known = this.disks.get(path)
      if (known?.holder === 'appliance') this.disks.set(path, { ...known, holder: '' })
    }
  }

  async deleteDisk(disk: VirtualDisk, signal: AbortSignal): Promise<void> {
    this.#called('delete-disk', signal)
    const holder = this.disks.get(disk.path)?.holder ?? ''
    if (holder !== '') throw new AppError('VSPHERE_BUSY', `${disk.path} hangs on ${holder}`)
    this.disks.delete(disk.path)
  }

  async createVm({ plan, disks, jobId }: NewVm, signal: AbortSignal): Promise<string> {
    this.#called('create-vm', signal)
    const there = [...this.vms.values()].find(vm => vm.name === plan.vmName)
    if (there !== undefined && there.jobId !== jobId) throw new AppError('VM_NAME_TAKEN', `there is a VM ${plan.vmName}`)
    if (there !== undefined) return there.id
    for (const { path } of disks) {
      const known = this.disks.get(path)
      if (known?.holder !== '') throw new AppError('VSPHERE_BUSY', `${path} hangs on ${known?.holder ?? 'nothing'}`)
      this.disks.set(path, { ...known, holder: plan.vmName })
    }
    const id = `vm-${String(this.vms.size + 1)}`
    this.vms.set(id, { id, name: plan.vmName, jobId, power: 'off', disks: disks.map(disk => disk.path), polls: 0 })
    return id
  }

  async power(vmId: string, to: 'on' | 'off', signal: AbortSignal): Promise<void> {
    this.#called(`power-${to}`, signal)
    const vm = this.#vm(vmId)
    if (to === 'on' && vm.power !== 'on') this.poweredOn(vm.name)
    this.vms.set(vmId, { ...vm, power: to })
  }

  async powerState(vmId: string, signal: AbortSignal): Promise<PowerState> {
    this.#called('power-state', signal)
    return this.#vm(vmId).power
  }

  async bootReport(vmId: string, signal: AbortSignal): Promise<BootProof | undefined> {
    this.#called('boot-report', signal)
    const vm = this.#vm(vmId)
    if (vm.power !== 'on') return undefined
    this.vms.set(vmId, { ...vm, polls: vm.polls + 1 })
    if (vm.polls + 1 < this.bootsAfterPolls) return undefined
    return { hostName: this.#hostName, systemState: 'running', failedUnits: [], addresses: [], scriptOutput: '', bootedAtUtc: '2026-01-01T00:00:00.000Z' }
  }

  async screenshot(vmId: string, signal: AbortSignal): Promise<Buffer | undefined> {
    this.#called('screenshot', signal)
    return this.#vm(vmId).power === 'on' ? this.screen : undefined
  }

  async removeVm(vmId: string, signal: AbortSignal): Promise<void> {
    this.#called('remove-vm', signal)
    for (const path of this.vms.get(vmId)?.disks ?? []) {
      const known = this.disks.get(path)
      if (known !== undefined) this.disks.set(path, { ...known, holder: '' })
    }
    this.vms.delete(vmId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve()
  }

  #called(what: string, signal: AbortSignal): void {
    signal.throwIfAborted()
    this.calls.push(what)
  }

  #vm(vmId: string): Vm {
    const vm = this.vms.get(vmId)
    if (vm === undefined) throw new AppError('VSPHERE_NOT_FOUND', `there is no VM ${vmId}`)
    return vm
  }
}
