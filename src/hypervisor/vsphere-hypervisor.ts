import { systemClock, type Clock } from '../clock/clock.ts'
import type { BootProof } from '../domain/replica.ts'
import type { DiskFormat, Places, VirtualDisk } from '../domain/target.ts'
import type { Hypervisor, NewVm, PowerState } from './hypervisor.ts'
import { attachChild, attachDisk, copyDisk, createDisk, deleteDisk, detachDisks, type DiskWork, type VmWork } from './vsphere-disks.ts'
import { isAppError } from '../errors/app-error.ts'
import { findAppliance, locate, readPlaces } from './vsphere-inventory.ts'
import type { Ref } from './vsphere-object.ts'
import { VsphereSession, type VsphereAddress } from './vsphere-session.ts'
import { bootReport, createVm, power, powerState, removeVm, screenshot } from './vsphere-vm.ts'

/** Where to log in, and the name (or id) of the VM in which this appliance runs. */
export interface VsphereTarget extends VsphereAddress { readonly applianceVm: string }

/**
 * Logs in to a vCenter or ESXi host. The caller disposes the result, which logs out.
 * @throws {AppError} VSPHERE_UNREACHABLE, CERTIFICATE_UNTRUSTED, CERTIFICATE_CHANGED, VSPHERE_LOGIN, VSPHERE_TIMEOUT
 */
export async function openVsphereHypervisor(target: VsphereTarget, signal: AbortSignal, clock: Clock = systemClock): Promise<Hypervisor> {
  return new VsphereHypervisor(await VsphereSession.open(target, signal), target.applianceVm, clock)
}

/** The real Hypervisor, over one login. Changes of the appliance's VM are made one after the other, whichever jobs ask for them. */
class VsphereHypervisor implements Hypervisor {
  readonly #session: VsphereSession
  readonly #applianceVm: string
  readonly #clock: Clock
  #appliance: Ref | undefined
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(session: VsphereSession, applianceVm: string, clock: Clock) {
    this.#session = session
    this.#applianceVm = applianceVm
    this.#clock = clock
  }

  async places(signal: AbortSignal): Promise<Places> {
    const { session, site } = await this.#work(signal)
    return await readPlaces(session, site, signal)
  }

  async createDisk(path: string, sizeBytes: number, format: DiskFormat, signal: AbortSignal): Promise<VirtualDisk> {
    return await createDisk(await this.#work(signal), path, sizeBytes, format)
  }

  async copyDisk(disk: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    return await copyDisk(await this.#work(signal), disk, path)
  }

  async attachChild(parent: VirtualDisk, path: string, signal: AbortSignal): Promise<VirtualDisk> {
    return await this.#changeAppliance(signal, async work => await attachChild(work, parent, path))
  }

  async attachDisk(disk: VirtualDisk, signal: AbortSignal): Promise<VirtualDisk> {
    return await this.#changeAppliance(signal, async work => await attachDisk(work, disk))
  }

  async detachDisks(disks: readonly VirtualDisk[], signal: AbortSignal): Promise<void> {
    await this.#changeAppliance(signal, async work => { await detachDisks(work, disks) })
  }

  async deleteDisk(disk: VirtualDisk, signal: AbortSignal): Promise<void> {
    await deleteDisk(await this.#work(signal), disk)
  }

  async createVm(vm: NewVm, signal: AbortSignal): Promise<string> {
    return await createVm(await this.#work(signal), vm)
  }

  async power(vmId: string, to: 'on' | 'off', signal: AbortSignal): Promise<void> {
    await power(this.#vmWork(signal), vmId, to)
  }

  async powerState(vmId: string, signal: AbortSignal): Promise<PowerState> {
    return await powerState(this.#vmWork(signal), vmId)
  }

  async bootReport(vmId: string, signal: AbortSignal): Promise<BootProof | undefined> {
    return await bootReport(this.#vmWork(signal), vmId)
  }

  async screenshot(vmId: string, signal: AbortSignal): Promise<Buffer | undefined> {
    return await screenshot(this.#vmWork(signal), vmId)
  }

  async removeVm(vmId: string, signal: AbortSignal): Promise<void> {
    await removeVm(await this.#work(signal), vmId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  #vmWork(signal: AbortSignal): VmWork {
    signal.throwIfAborted()
    return { session: this.#session, clock: this.#clock, signal }
  }

  /** The appliance may have moved to another host since the last call, so its place is read for each. */
  async #work(signal: AbortSignal): Promise<DiskWork> {
    const work = this.#vmWork(signal)
    if (this.#appliance !== undefined) {
      try {
        return { ...work, site: await locate(this.#session, this.#appliance, signal) }
      } catch (error) {
        // It was registered anew, and has another id now.
        if (!isAppError(error, 'VSPHERE_NOT_FOUND')) throw error
      }
    }
    this.#appliance = await findAppliance(this.#session, this.#applianceVm, signal)
    return { ...work, site: await locate(this.#session, this.#appliance, signal) }
  }

  async #changeAppliance<T>(signal: AbortSignal, change: (work: DiskWork) => Promise<T>): Promise<T> {
    const mine = this.#lastChange.then(async () => await change(await this.#work(signal)))
    this.#lastChange = mine.catch(() => undefined) // its own caller hears of a failure
    return await mine
  }
}
