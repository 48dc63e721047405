/**
 * The hypervisor behind vcsim's inventory. It compares what vcsim says with what is there, and makes the second like the first:
 * a disk of the appliance's VM is plugged into the appliance, whatever that is; a powered-on VM is a QEMU process.
 * Reconciliation, not a replay of events: it may be called at any time, and finds everything again.
 */
import { readFile } from 'node:fs/promises'
import type { DiskPlug } from './disk-plug.ts'
import { startReplica, type ReplicaMachine, type ReplicaOptions } from './replica-machine.ts'
import type { RunDirectory } from './run-directory.ts'
import { APPLIANCE_VM, materialise, type LabDisk, type LabVm, type Vcsim } from './vcsim.ts'

export interface Follower extends AsyncDisposable {
  /** the inventory as of the last look */
  readonly vms: readonly LabVm[]
  /** Resolves when what is there is what vcsim said after the call. @throws {Error} when a disk was detached that is still mounted */
  reconcile(): Promise<void>
  machine(vmName: string): ReplicaMachine | undefined
  /** PNG of what the VM with this id shows, undefined when it does not run */
  screenshot(vmId: string): Promise<Buffer | undefined>
  /** Text on the console of the VM, also after it was powered off. */
  consoleOf(vmName: string): Promise<string>
  /** what went wrong by the product's fault, such as a disk pulled while mounted */
  readonly violations: readonly string[]
}

const LOOK_EVERY_MS = 1000
const REPORT_KEY = 'guestinfo.landfall.boot'

export async function startFollower(run: RunDirectory, vcsim: Vcsim, plug: DiskPlug, replicas: ReplicaOptions = {}): Promise<Follower> {
  const attached = new Map<string, LabDisk>()
  const machines = new Map<string, ReplicaMachine>()
  const consoles = new Map<string, string>()
  const violations: string[] = []
  let vms: readonly LabVm[] = []

  async function detach(fileName: string, disk: LabDisk): Promise<void> {
    const uses = await plug.usesOf(disk)
    if (uses.length > 0) {
      const violation = `disk ${fileName} was detached while it is used: ${uses.join(', ')}`
      if (!violations.includes(violation)) violations.push(violation)
      throw new Error(violation)
    }
    await plug.detach(disk)
    attached.delete(fileName)
  }

  async function followAppliance(): Promise<void> {
    const own = `/${APPLIANCE_VM}.vmdk`
    const wanted = (vms.find(vm => vm.name === APPLIANCE_VM)?.disks ?? []).filter(disk => !disk.fileName.endsWith(own))
    for (const [fileName, disk] of [...attached]) {
      if (!wanted.some(w => w.fileName === fileName)) await detach(fileName, disk)
    }
    for (const disk of wanted) {
      if (attached.has(disk.fileName)) continue
      await plug.attach(disk, await materialise(vcsim.fileOf(disk.fileName)))
      attached.set(disk.fileName, disk)
    }
  }

  async function followReplicas(): Promise<void> {
    const on = vms.filter(vm => vm.on && vm.name !== APPLIANCE_VM)
    for (const [id, machine] of [...machines]) {
      if (on.some(vm => vm.id === id) && machine.isRunning()) continue
      await machine.stop()
      machines.delete(id)
      // a guest that switched itself off is off in the inventory, too
      const vm = on.find(v => v.id === id)
      if (vm !== undefined) await vcsim.powerOff(vm)
    }
    for (const vm of on) {
      let machine = machines.get(vm.id)
      if (machine === undefined) {
        machine = await startReplica(run, vcsim, vm, replicas)
        machines.set(vm.id, machine)
        consoles.set(vm.name, machine.consoleFile)
      }
      const report = await machine.report()
      // the guest's tools would put it there; this guest has only its console
      if (report !== undefined && vm.extraConfig.get(REPORT_KEY) !== report) await vcsim.setExtraConfig(vm, REPORT_KEY, report)
    }
  }

  let last: Promise<void> = Promise.resolve()
  let waiting = 0
  const reconcile = async (): Promise<void> => {
    const before = last
    waiting += 1
    const mine = (async () => {
      try {
        await before.catch(() => undefined) // its caller has seen the failure
        vms = await vcsim.vms()
        await followAppliance()
        await followReplicas()
      } finally {
        waiting -= 1
      }
    })()
    last = mine
    await mine
  }
  let ended = false
  const look = setInterval(() => {
    // failures are in `violations`, and the next call of the front fails with them
    if (!ended && waiting === 0) void reconcile().catch(() => undefined)
  }, LOOK_EVERY_MS)
  await reconcile()
  return {
    violations, reconcile,
    get vms() { return vms },
    machine: name => [...machines.values()].find(m => m.vm.name === name),
    screenshot: async vmId => await machines.get(vmId)?.screenshot(),
    consoleOf: async name => await readFile(consoles.get(name) ?? '/dev/null', 'utf8').catch(() => ''),
    [Symbol.asyncDispose]: async () => {
      if (ended) return
      ended = true
      clearInterval(look)
      await last.catch(() => undefined)
      for (const machine of machines.values()) await machine.stop()
      await plug[Symbol.asyncDispose]()
    },
  }
}
