/**
 * What a real host refuses and vcsim does not: a disk locked by another running VM, which may have a child of it, a slot that is taken or does not exist, a datastore that is
 * full, a VM name that is taken. Each becomes a failing task, as on vCenter.
 */
import { blocksOf, escapeXml, textOf, type Call } from './front-xml.ts'
import type { LabVm, Vcsim } from './vcsim.ts'

export interface Refusal { fault: string, message: string, detail?: string }

const MAX_UNIT = 63 // PVSCSI of hardware version 14 and newer; 7 is the controller itself
const CONTROLLER_UNIT = 7

/** The fault with which a host would fail the call's task, or undefined. */
export async function refusalOf(call: Call, vms: readonly LabVm[], vcsim: Vcsim): Promise<Refusal | undefined> {
  switch (call.method) {
    case 'ReconfigVM_Task': return await refuseReconfigure(call, vms, vcsim)
    // a thin disk may be larger than what is free, as on a real datastore
    case 'CreateVirtualDisk_Task': return textOf(call.xml, 'diskType') === 'thin' ? undefined : await refuseSpace(textOf(call.xml, 'name') ?? '', Number(textOf(call.xml, 'capacityKb') ?? '0') * 1024, vcsim)
    case 'DeleteVirtualDisk_Task': case 'MoveVirtualDisk_Task': case 'CopyVirtualDisk_Task': {
      const name = textOf(call.xml, 'name') ?? textOf(call.xml, 'sourceName') ?? ''
      const holder = holderOf(name, vms, undefined)
      return holder === undefined ? undefined : locked(name, holder)
    }
    case 'PowerOnVM_Task': case 'Destroy_Task': {
      const vm = vms.find(v => v.id === call.self)
      for (const disk of vm?.disks ?? []) {
        const holder = holderOf(disk.fileName, vms, call.self)
        if (holder !== undefined) return locked(disk.fileName, holder)
      }
      return undefined
    }
    case 'CreateVM_Task': {
      const name = textOf(blocksOf(call.xml, 'config')[0] ?? '', 'name') ?? ''
      const twin = vms.find(vm => vm.name === name)
      return twin === undefined
        ? undefined
        : { fault: 'DuplicateName', message: `The name '${name}' already exists.`, detail: `<name>${escapeXml(name)}</name><object type="VirtualMachine">${twin.id}</object>` }
    }
    default: return undefined
  }
}

/** The running VM that holds the disk, or a child of it, apart from `except`. */
function holderOf(fileName: string, vms: readonly LabVm[], except: string | undefined): LabVm | undefined {
  return vms.find(vm => vm.on && vm.id !== except && vm.disks.some(d => d.fileName === fileName || d.parent === fileName))
}

function locked(fileName: string, holder: LabVm): Refusal {
  return { fault: 'FileLocked', message: `Failed to lock the file ${fileName}: it is in use by ${holder.name}`, detail: `<file>${escapeXml(fileName)}</file>` }
}

async function refuseReconfigure(call: Call, vms: readonly LabVm[], vcsim: Vcsim): Promise<Refusal | undefined> {
  const vm = vms.find(v => v.id === call.self)
  const taken = new Set(vm?.disks.map(d => `${String(d.controllerKey)}:${String(d.unit)}`) ?? [])
  for (const [index, change] of blocksOf(call.xml, 'deviceChange').entries()) {
    const device = blocksOf(change, 'device')[0] ?? ''
    if (!/^<device [^>]*type="(?:\w+:)?VirtualDisk"/.test(device)) continue
    const key = Number(textOf(device, 'key') ?? 'NaN')
    const operation = textOf(change, 'operation')
    if (operation === 'remove') {
      const disk = vm?.disks.find(d => d.key === key)
      if (disk === undefined) return invalidDevice(index, `there is no disk with key ${String(key)}`)
      taken.delete(`${String(disk.controllerKey)}:${String(disk.unit)}`)
    }
    if (operation !== 'add') continue
    const fileName = textOf(device, 'fileName') ?? ''
    const holder = holderOf(fileName, vms, undefined)
    if (holder !== undefined) return locked(fileName, holder)
    const unit = Number(textOf(device, 'unitNumber') ?? 'NaN')
    const slot = `${textOf(device, 'controllerKey') ?? ''}:${String(unit)}`
    if (Number.isNaN(unit) || unit < 0 || unit > MAX_UNIT || unit === CONTROLLER_UNIT) return invalidDevice(index, `unit ${String(unit)} does not exist`)
    if (taken.has(slot)) return invalidDevice(index, `slot ${slot} is taken`)
    taken.add(slot)
    if (/<fileOperation>create</.test(change) && textOf(device, 'thinProvisioned') !== 'true') {
      const refusal = await refuseSpace(fileName, Number(textOf(device, 'capacityInKB') ?? '0') * 1024, vcsim)
      if (refusal !== undefined) return refusal
    }
  }
  return undefined
}

function invalidDevice(index: number, why: string): Refusal {
  return { fault: 'InvalidDeviceSpec', message: `Invalid configuration for device '${String(index)}': ${why}.`, detail: `<property>virtualDeviceSpec.device</property><deviceIndex>${String(index)}</deviceIndex>` }
}

async function refuseSpace(path: string, sizeBytes: number, vcsim: Vcsim): Promise<Refusal | undefined> {
  const datastore = /^\[([^\]]+)\]/.exec(path)?.[1]
  if (datastore === undefined) return undefined
  const free = await vcsim.freeBytes(datastore)
  return free === undefined || sizeBytes <= free
    ? undefined
    : { fault: 'NoDiskSpace', message: `Insufficient disk space on datastore '${datastore}'.`, detail: `<file>${escapeXml(path)}</file><datastore>${escapeXml(datastore)}</datastore>` }
}
