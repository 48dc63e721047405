import { z } from 'zod'
import { AppError, isAppError } from '../errors/app-error.ts'
import { BootProof } from '../domain/replica.ts'
import { hypervisorLog } from '../logging/logger.ts'
import { formatDatastorePath, parseDatastorePath, samePath } from './datastore-path.ts'
import type { NewVm, PowerState } from './hypervisor.ts'
import { detachSpec, readVmDevices, refuseHeld, type DiskWork, type VmWork } from './vsphere-disks.ts'
import { download } from './vsphere-download.ts'
import { faultType } from './vsphere-faults.ts'
import { deleteFile, deleteWithFolder, makeFolder } from './vsphere-files.ts'
import { readDatastore, readNetworks, shownName, text } from './vsphere-inventory.ts'
import { isRecord, readAnswer, Ref, ref } from './vsphere-object.ts'
import { readAll, readObject, type ManagedObject } from './vsphere-properties.ts'
import { runTask, withPatience } from './vsphere-task.ts'
import { configPath, findNetwork, JOB_KEY, vmSpec } from './vsphere-vm-spec.ts'

const BOOT_KEY = 'guestinfo.landfall.boot'
const POWER: Readonly<Record<string, PowerState>> = { poweredOn: 'on', poweredOff: 'off', suspended: 'suspended' }
/** Kinds of files in layoutEx that hold data of disks. */
const DISK_FILES = new Set(['diskDescriptor', 'diskExtent', 'digestDescriptor', 'digestExtent', 'diskReplicationState'])

const MAX_SCREENSHOT = 16 << 20 // bytes; more than any screen
const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')

const Layout = z.array(z.object({ name: z.string(), type: z.string() }))
const Options = z.array(z.object({ key: z.string(), value: z.unknown().optional() }))

/** See Hypervisor.createVm. */
export async function createVm(work: DiskWork, vm: NewVm): Promise<string> {
  const { session, site, signal } = work
  const { plan } = vm
  const doing = `create the VM ${plan.vmName}`
  const existing = await findVm(work, plan.vmName, doing)
  if (existing !== undefined) {
    if (optionsOf(existing).get(JOB_KEY) === vm.jobId) {
      await checkBuilt(work, existing.ref, vm, doing)
      return existing.ref.$value
    }
    throw new AppError('VM_NAME_TAKEN', `cannot ${doing}: the datacenter ${site.datacenterName} has another VM of this name`)
  }
  const networks = await readNetworks(session, site, signal)
  for (const adapter of plan.adapters) findNetwork(networks, adapter.network)
  const store = await readDatastore(session, site, plan.datastore, signal)
  for (const disk of vm.disks) {
    const { datastore } = parseDatastorePath(disk.path)
    await refuseHeld(session, datastore === store.name ? store : await readDatastore(session, site, datastore, signal), disk.path, doing, signal)
  }
  await makeFolder(session, site, parseDatastorePath(configPath(plan)), signal)
  const config = vmSpec(vm, networks)
  return await withPatience(work, [], async () => {
    try {
      const made = readAnswer(Ref, await runTask(session, 'CreateVM_Task', site.folder, { config, pool: site.pool, host: site.host }, { signal, doing }), doing)
      await checkBuilt(work, made, vm, doing).catch(async (error: unknown) => {
        await removeVm(work, made.$value)
        throw error
      })
      return made.$value
    } catch (error) {
      if (faultType(error) !== 'DuplicateName') throw error
      throw new AppError('VM_NAME_TAKEN', `cannot ${doing}: another VM of this name appeared meanwhile`, { cause: error })
    }
  })
}

/** See Hypervisor.power. Off is the switch, not a shutdown: a replica that is not wanted has nothing to save. */
export async function power(work: VmWork, vmId: string, to: 'on' | 'off'): Promise<void> {
  const { session, signal } = work
  const vm = ref('VirtualMachine', vmId)
  const doing = `power ${to} the VM ${vmId}`
  if (await powerState(work, vmId) === to) return
  await withPatience(work, [], async () => {
    try {
      await runTask(session, to === 'on' ? 'PowerOnVM_Task' : 'PowerOffVM_Task', vm, {}, { signal, doing, whileWaiting: async () => { await refuseQuestion(work, vm, doing) } })
    } catch (error) {
      if (faultType(error) === 'InvalidPowerState' && await powerState(work, vmId) === to) return
      throw error
    }
  })
}

/** See Hypervisor.powerState. @throws {AppError} VSPHERE_NOT_FOUND */
export async function powerState({ session, signal }: VmWork, vmId: string): Promise<PowerState> {
  const doing = `read the power state of the VM ${vmId}`
  const vm = await readObject(session, ref('VirtualMachine', vmId), ['runtime.powerState'], { signal, doing })
  const state = POWER[text(vm, 'runtime.powerState')]
  if (state === undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: the server does not tell it`)
  return state
}

/** See Hypervisor.bootReport. What the guest wrote is checked; something else in its place is logged and counts as nothing. */
export async function bootReport({ session, signal }: VmWork, vmId: string): Promise<BootProof | undefined> {
  const vm = await readObject(session, ref('VirtualMachine', vmId), ['config.extraConfig'], { signal, doing: `read the boot report of the VM ${vmId}` })
  const report = optionsOf(vm).get(BOOT_KEY)
  if (report === undefined || report === '') return undefined
  try {
    return BootProof.parse(JSON.parse(report))
  } catch (error) {
    hypervisorLog.warn({ err: error, vmId }, 'the boot report of the replica cannot be read')
    return undefined
  }
}

/** See Hypervisor.screenshot. vCenter and hosts make it at `/screen`, of what the VM's display adapter shows; it leaves no file, as CreateScreenshot_Task does. */
export async function screenshot(work: VmWork, vmId: string): Promise<Buffer | undefined> {
  if (await powerState(work, vmId) !== 'on') return undefined
  const doing = `take a screenshot of the VM ${vmId}`
  const image = await download(work.session, `/screen?id=${encodeURIComponent(vmId)}`, { signal: work.signal, doing, maxBytes: MAX_SCREENSHOT })
  if (image !== undefined && !image.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) throw new AppError('VSPHERE_FAULT', `cannot ${doing}: the server sent something else than a PNG`)
  return image
}

/**
 * See Hypervisor.removeVm. The VM is unregistered and its own files deleted one by one: destroying it would delete every disk attached to
 * it, wherever the file is, and on some servers its whole folder.
 */
export async function removeVm(work: DiskWork, vmId: string): Promise<void> {
  const { session, site, signal } = work
  const vm = ref('VirtualMachine', vmId)
  const doing = `remove the VM ${vmId}`
  const files = await ownFiles(work, vm, doing)
  if (files === undefined) return
  await power(work, vmId, 'off')
  await withPatience(work, [], async () => {
    const { disks } = await readVmDevices(session, vm, doing, signal)
    if (disks.length > 0) await runTask(session, 'ReconfigVM_Task', vm, { spec: detachSpec(disks) }, { signal, doing: `detach the disks of the VM ${vmId}` })
    const left = (await readVmDevices(session, vm, doing, signal)).disks
    if (left.length > 0) throw new AppError('VSPHERE_STATE', `cannot ${doing}: ${left.map(d => d.path).join(', ')} would not be detached`)
    await session.call('UnregisterVM', vm, {}, { signal, doing })
  })
  const [config] = files
  if (config === undefined) return
  const place = parseDatastorePath(config)
  const names = new Set(files.map(file => parseDatastorePath(file).file))
  await deleteWithFolder(session, site, await readDatastore(session, site, place.datastore, signal), place, name => names.has(name), signal, async () => {
    for (const file of files) await deleteFile(session, site, file, signal)
  })
}

/** Files of the VM itself, in its folder, that hold no disk; undefined when there is no such VM. */
async function ownFiles({ session, signal }: VmWork, vm: Ref, doing: string): Promise<string[] | undefined> {
  try {
    const object = await readObject(session, vm, ['config.files.vmPathName', 'layoutEx.file'], { signal, doing })
    const config = text(object, 'config.files.vmPathName')
    if (config === '') return []
    const folder = folderOf(config)
    const others = readAnswer(Layout, object.properties.get('layoutEx.file') ?? [], doing).filter(f => !DISK_FILES.has(f.type) && folderOf(f.name) === folder).map(f => f.name)
    return [...new Set([config, ...others])]
  } catch (error) {
    if (isAppError(error, 'VSPHERE_NOT_FOUND')) return undefined
    throw error
  }
}

function folderOf(path: string): string {
  return formatDatastorePath({ ...parseDatastorePath(path), file: '' })
}

/** The VM of this name in the appliance's datacenter. */
async function findVm({ session, site, signal }: DiskWork, name: string, doing: string): Promise<ManagedObject | undefined> {
  const all = await readAll(session, 'VirtualMachine', site.datacenter, ['name'], { signal, doing })
  const found = all.find(vm => shownName(text(vm, 'name')) === name)
  return found === undefined ? undefined : await readObject(session, found.ref, ['config.extraConfig'], { signal, doing })
}

/** What the server made is looked at: a disk that it left out would show only when the replica does not boot. */
async function checkBuilt({ session, signal }: VmWork, vm: Ref, { disks, plan }: NewVm, doing: string): Promise<void> {
  const devices = await readVmDevices(session, vm, doing, signal)
  const missing = disks.filter(d => !devices.disks.some(a => samePath(a.path, d.path))).map(d => d.path)
  const strange = plan.adapters.filter(a => !devices.macAddresses.includes(a.mac.toLowerCase())).map(a => a.mac)
  if (missing.length + strange.length > 0) {
    throw new AppError('VSPHERE_STATE', `cannot ${doing}: the server made it without ${[...missing, ...strange].join(', ')}`)
  }
}

async function refuseQuestion({ session, signal }: VmWork, vm: Ref, doing: string): Promise<void> {
  const object = await readObject(session, vm, ['runtime.question'], { signal, doing })
  const question = object.properties.get('runtime.question')
  const asked = isRecord(question) && typeof question['text'] === 'string' ? question['text'] : undefined
  if (asked !== undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: the VM asks "${asked}"; answer it in vSphere`)
}

function optionsOf(vm: ManagedObject): Map<string, string> {
  const options = Options.safeParse(vm.properties.get('config.extraConfig')).data ?? []
  return new Map(options.map(({ key, value }) => [key, valueText(value)]))
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value
  return isRecord(value) && typeof value['$value'] === 'string' ? value['$value'] : ''
}
