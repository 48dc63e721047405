/**
 * A powered-on replica VM as a QEMU process on VMware's virtual hardware. It writes into throw-away layers above the VM's disks, so that the
 * disks stay byte for byte what the appliance handed over and can be compared afterwards.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { firmwareArguments, type Firmware } from './full/firmware.ts'
import { startGuest, type Guest } from './full/guest.ts'
import type { RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'
import { materialise, type LabVm, type LabHardware, type Vcsim } from './vcsim.ts'

export interface ReplicaMachine {
  readonly vm: LabVm
  /** file with everything that came over the serial console */
  readonly consoleFile: string
  readonly guest: Guest
  isRunning(): boolean
  /** what the guest reported on its console so far: the JSON behind LANDFALL-BOOT */
  report(): Promise<string | undefined>
  /** PNG of what its display adapter shows */
  screenshot(): Promise<Buffer>
  stop(): Promise<void>
}

export interface ReplicaOptions {
  /** a guest that starts again does so, instead of being off */
  restarts?: boolean
  /** the first three numbers of the network that a VM is put into; 10.77.0 when nothing is said */
  networkOf?: (vmName: string) => string | undefined
}

/** Emulation is slow and this machine small: a replica gets at most this, whatever the VM's record says. */
const MAX_MEMORY_MIB = 1024
const MAX_CPUS = 2

/** VMware's own, so that the kernel has the driver that it would have there. */
const DISPLAY = ['-device', 'vmware-svga']

const REPORT = /LANDFALL-BOOT (\{.*\})\s*$/m

export async function startReplica(run: RunDirectory, vcsim: Vcsim, vm: LabVm, options: ReplicaOptions = {}): Promise<ReplicaMachine> {
  const hardware = await vcsim.hardware(vm)
  const disks = [...vm.disks].sort((a, b) => a.controllerKey - b.controllerKey || a.unit - b.unit)
  const controllers = [...new Set(disks.map(d => d.controllerKey))]
  const layers: string[] = []
  for (const [index, disk] of disks.entries()) {
    const layer = join(run.path, `${vm.id}-${String(index)}.qcow2`)
    await rm(layer, { force: true })
    await tool('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', await materialise(vcsim.fileOf(disk.fileName)), '-F', 'raw', layer])
    layers.push(layer)
  }
  const guest = await startGuest(run, {
    name: vm.id, cpus: Math.min(hardware.cpus, MAX_CPUS), memoryMib: Math.min(hardware.memoryMib, MAX_MEMORY_MIB), restarts: options.restarts === true,
    arguments: [...DISPLAY, ...await firmwareArguments(run, vm.id, hardware.firmware), ...controllerArguments(hardware, controllers.length), ...diskArguments(hardware.firmware, disks.map(d => ({ serial: d.uuid, controller: controllers.indexOf(d.controllerKey), unit: d.unit })), layers), ...adapterArguments(hardware, options.networkOf?.(vm.name) ?? '10.77.0')],
  })
  return {
    vm, guest, consoleFile: guest.consoleFile, isRunning: () => guest.process.isRunning(),
    report: async () => REPORT.exec(await guest.console())?.[1],
    screenshot: async () => {
      const file = join(run.path, `${vm.id}.png`)
      await guest.qmp.command('screendump', { filename: file, format: 'png' })
      try {
        return await readFile(file)
      } finally {
        await rm(file)
      }
    },
    stop: async () => {
      await guest[Symbol.asyncDispose]()
      for (const layer of layers) await rm(layer, { force: true })
    },
  }
}

function controllerArguments(hardware: LabHardware, count: number): string[] {
  const device = hardware.controller === 'pvscsi' ? 'pvscsi' : 'lsi53c895a'
  return Array.from({ length: count }).flatMap((_, index) => ['-device', `${device},id=scsi${String(index)}`])
}

/** Debian's UEFI has no driver for VMware's SCSI controllers: the disk that it starts from is on a SATA controller, which VMware has, too. */
export function diskArguments(firmware: Firmware, disks: readonly { serial: string, controller: number, unit: number }[], layers: readonly string[]): string[] {
  return disks.flatMap((disk, index) => [
    // nothing of the layer outlives the machine: host caching without flushes is right
    '-drive', `if=none,id=d${String(index)},file=${layers[index] ?? ''},format=qcow2,cache=unsafe`,
    ...index === 0 && firmware === 'uefi'
      ? ['-device', 'ich9-ahci,id=sata0', '-device', `ide-hd,drive=d0,bus=sata0.0,serial=${disk.serial.slice(0, 20)},bootindex=1`]
      : ['-device', `scsi-hd,drive=d${String(index)},bus=scsi${String(disk.controller)}.0,scsi-id=${String(disk.unit)},serial=${disk.serial},vendor=VMware,product=Virtual disk,ver=2.0${index === 0 ? ',bootindex=1' : ''}`],
  ])
}

function adapterArguments(hardware: LabHardware, network: string): string[] {
  return hardware.adapters.flatMap((adapter, index) => [
    // a network of its own, closed to the outside: what answers is only the gateway
    '-netdev', `user,id=n${String(index)},restrict=on,net=${network}.0/24,host=${network}.1`,
    '-device', `${adapter.model},netdev=n${String(index)},mac=${adapter.macAddress},romfile=`,
  ])
}
