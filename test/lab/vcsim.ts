/** vcsim as the lab's vCenter, and what the lab itself asks of it (with govc, not with the product's own client). */
import { readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { LabCertificate } from './certificate.ts'
import { startProcess } from './lab-process.ts'
import { GOVC, VCSIM } from './paths.ts'
import type { RunDirectory } from './run-directory.ts'
import { tool } from './tool.ts'

export const APPLIANCE_VM = 'landfall-appliance'
export const USER = 'administrator'

export interface LabDatastore { name: string, capacityGib: number }

export interface LabDisk { key: number, fileName: string, uuid: string, controllerKey: number, unit: number, /** what it is a child of; the front knows it */ parent?: string }
export interface LabVm { id: string, name: string, on: boolean, disks: LabDisk[], extraConfig: ReadonlyMap<string, string> }
export interface LabHardware { adapters: { macAddress: string, model: 'vmxnet3' | 'e1000e' | 'e1000' }[], controller: 'pvscsi' | 'lsilogic', firmware: 'bios' | 'uefi', memoryMib: number, cpus: number }

export interface Vcsim {
  /** https URL of its SDK, for the front */
  readonly url: string
  vms(): Promise<LabVm[]>
  hardware(vm: LabVm): Promise<LabHardware>
  setExtraConfig(vm: LabVm, key: string, value: string): Promise<void>
  powerOff(vm: LabVm): Promise<void>
  /** free space by the inventory, or undefined when there is no such datastore */
  freeBytes(datastore: string): Promise<number | undefined>
  /** managed object id of the datacenter */
  datacenterId(): Promise<string>
  /** the descriptor file of a "[datastore] folder/name.vmdk" on this machine */
  fileOf(datastorePath: string): string
  /** the file with the disk's data */
  flatFileOf(datastorePath: string): string
  stop(): Promise<void>
}

const Update = z.object({
  kind: z.string(),
  obj: z.object({ value: z.string() }),
  changeSet: z.array(z.object({ name: z.string(), val: z.unknown() })),
})
const Device = z.object({
  key: z.number(), controllerKey: z.number().default(0), unitNumber: z.number().default(0), capacityInKB: z.number().optional(),
  backing: z.object({ fileName: z.string().optional(), uuid: z.string().default('') }).optional(),
})
const Devices = z.object({ _value: z.array(Device) })
const ExtraConfig = z.object({ _value: z.array(z.object({ key: z.string(), value: z.unknown() })) })
const DatastoreSummary = z.object({ name: z.string(), freeSpace: z.number() })
const DeviceInfo = z.object({ devices: z.array(z.object({ type: z.string(), macAddress: z.string().default('') })).nullable() })
const VmInfo = z.object({ virtualMachines: z.array(z.object({ config: z.object({ firmware: z.string().default('bios'), hardware: z.object({ numCPU: z.number(), memoryMB: z.number() }) }) })) })

export async function startVcsim(run: RunDirectory, certificate: LabCertificate, password: string, datastores: readonly LabDatastore[], networks: readonly string[]): Promise<Vcsim> {
  const directoryOf = (name: string): string => join(run.path, 'datastores', name)
  const child = await startProcess(run, 'vcsim', VCSIM, [
    '-l', '127.0.0.1:0', '-username', USER, '-tlscert', certificate.certificateFile, '-tlskey', certificate.keyFile, '-vm', APPLIANCE_VM,
    ...datastores.flatMap(d => ['-datastore', `${d.name}=${directoryOf(d.name)},${String(d.capacityGib)}`]), ...networks.flatMap(n => ['-network', n]),
  ], { env: { VCSIM_PASSWORD: password }, holdInput: true })
  const [, host = ''] = await child.waitForLog(/GOVC_URL=https:\/\/[^@\s]+@([^/\s]+)\/sdk/, 20_000)
  const url = `https://${host}/sdk`
  const env = { GOVC_URL: url, GOVC_USERNAME: USER, GOVC_PASSWORD: password, GOVC_TLS_CA_CERTS: certificate.certificateFile, GOVC_PERSIST_SESSION: 'false' }
  const govc = async (args: readonly string[]): Promise<string> => (await tool(GOVC, args, { env, timeoutMs: 60_000 })).stdout
  const fileOf = (datastorePath: string): string => {
    const [, store, path] = /^\[([^\]]+)\] ?(.+)$/.exec(datastorePath) ?? []
    if (store === undefined || path === undefined) throw new Error(`"${datastorePath}" is no datastore path`)
    return join(directoryOf(store), path)
  }
  return {
    url,
    vms: async () => {
      const text = await govc(['object.collect', '-json', '-type', 'm', '/', 'name', 'runtime.powerState', 'config.hardware.device', 'config.extraConfig'])
      return updatesOf(text).map(vmOf)
    },
    hardware: async (vm) => {
      const devices = DeviceInfo.parse(JSON.parse(await govc(['device.info', '-json', '-vm', vm.name]))).devices ?? []
      const info = VmInfo.parse(JSON.parse(await govc(['vm.info', '-json', vm.name]))).virtualMachines[0]
      return {
        adapters: devices.flatMap(d => d.type === 'VirtualVmxnet3' || d.type === 'VirtualE1000e' || d.type === 'VirtualE1000'
          ? [{ macAddress: d.macAddress, model: d.type === 'VirtualVmxnet3' ? 'vmxnet3' as const : d.type === 'VirtualE1000e' ? 'e1000e' as const : 'e1000' as const }]
          : []),
        controller: devices.some(d => d.type === 'ParaVirtualSCSIController') ? 'pvscsi' : 'lsilogic',
        firmware: info?.config.firmware === 'efi' ? 'uefi' : 'bios', memoryMib: info?.config.hardware.memoryMB ?? 1024, cpus: info?.config.hardware.numCPU ?? 1,
      }
    },
    setExtraConfig: async (vm, key, value) => { await govc(['vm.change', '-vm', vm.name, '-e', `${key}=${value}`]) },
    powerOff: async (vm) => { await govc(['vm.power', '-off', '-force', vm.name]) },
    freeBytes: async (datastore) => {
      for (const update of updatesOf(await govc(['object.collect', '-json', '-type', 's', '/', 'summary']))) {
        const summary = DatastoreSummary.safeParse(update.changeSet[0]?.val).data
        if (summary?.name === datastore) return summary.freeSpace
      }
      return undefined
    },
    datacenterId: async () => (await govc(['find', '-i', '/', '-type', 'd'])).trim().replace(/^Datacenter:/, ''),
    fileOf, flatFileOf: datastorePath => flatOf(fileOf(datastorePath)),
    stop: async () => { await child.stop() },
  }
}

/** govc prints one JSON object after the other, each over many lines that are indented but for the first and the last */
function updatesOf(text: string): z.infer<typeof Update>[] {
  return text.split(/\n(?=\{)/).filter(part => part.trim() !== '').map(part => Update.parse(JSON.parse(part)))
}

function vmOf(update: z.infer<typeof Update>): LabVm {
  const values = new Map(update.changeSet.map(c => [c.name, c.val]))
  const devices = Devices.safeParse(values.get('config.hardware.device')).data?._value ?? []
  const extra = ExtraConfig.safeParse(values.get('config.extraConfig')).data?._value ?? []
  return {
    id: update.obj.value, name: z.string().catch('').parse(values.get('name')), on: values.get('runtime.powerState') === 'poweredOn',
    disks: devices.flatMap(d => d.capacityInKB === undefined || d.backing?.fileName === undefined || !d.backing.fileName.endsWith('.vmdk')
      ? []
      : [{ key: d.key, fileName: d.backing.fileName, uuid: d.backing.uuid.replaceAll('-', '').toLowerCase(), controllerKey: d.controllerKey, unit: d.unitNumber }]),
    extraConfig: new Map(extra.map(e => [e.key, String(e.value)])),
  }
}

/** The file with a disk's data; vcsim keeps the extent's old name in the descriptor after a move, so it is derived from the disk's own. */
export const flatOf = (vmdkFile: string): string => vmdkFile.replace(/\.vmdk$/, '-flat.vmdk')

/** The disk's size by its descriptor: vcsim keeps `capacityInKB` at 0 when an existing disk is attached. */
export async function capacityOf(vmdkFile: string): Promise<number> {
  const sectors = /^RW (\d+) /m.exec(await readFile(vmdkFile, 'latin1'))?.[1]
  if (sectors === undefined) throw new Error(`${vmdkFile} is no disk descriptor`)
  return Number(sectors) * 512
}

/** Gives the data file the disk's size, as a host that has created the disk would; answers the file. */
export async function materialise(vmdkFile: string): Promise<string> {
  const flat = flatOf(vmdkFile)
  const capacity = await capacityOf(vmdkFile)
  if ((await stat(flat)).size < capacity) await truncate(flat, capacity)
  return flat
}
