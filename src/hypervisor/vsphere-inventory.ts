import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import type { Datastore, Places, TargetNetwork } from '../domain/target.ts'
import { readAnswer, Ref } from './vsphere-object.ts'
import { readAll, readObject, readObjects, type ManagedObject } from './vsphere-properties.ts'
import type { VsphereSession } from './vsphere-session.ts'

/** Where the appliance's VM stands: everything that a replica is made in or on. */
export interface Site {
  readonly vm: Ref
  readonly vmName: string
  readonly host: Ref
  readonly pool: Ref
  readonly folder: Ref
  readonly datacenter: Ref
  readonly datacenterName: string
  /** the datacenter's inventory path, as the file access beside the API wants it */
  readonly datacenterPath: string
}

/** A datastore that the host reaches, with what the calls need beside what people see. */
export interface SiteDatastore extends Datastore { readonly ref: Ref, readonly browser: Ref | undefined, readonly vms: readonly Ref[] }

/** A network of the host; `portgroupKey` and `switchUuid` for a distributed one. */
export interface SiteNetwork extends TargetNetwork { readonly ref: Ref, readonly portgroupKey?: string }

const Refs = z.array(Ref)
const UPLINK_TAG = 'SYSTEM/DVS.UPLINKPG'

/** A name as people write it: vSphere keeps %, / and \ in names of objects escaped. */
export function shownName(name: string): string {
  return name.replace(/%(25|2f|5c)/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

/** A name as vSphere keeps it. */
export function keptName(name: string): string {
  return name.replace(/[%/\\]/g, c => `%${c.charCodeAt(0).toString(16)}`)
}

/** Finds the appliance's VM by its name or id. @throws {AppError} VSPHERE_NOT_FOUND, VSPHERE_STATE when two have the name */
export async function findAppliance(session: VsphereSession, applianceVm: string, signal: AbortSignal): Promise<Ref> {
  const doing = `find the appliance VM ${applianceVm}`
  const all = await readAll(session, 'VirtualMachine', session.content.rootFolder, ['name'], { signal, doing })
  const found = all.filter(vm => vm.ref.$value === applianceVm || shownName(text(vm, 'name')) === applianceVm)
  const [one, second] = found
  if (one === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot ${doing}: no VM has this name, or the account may not see it`)
  if (second !== undefined) throw new AppError('VSPHERE_STATE', `cannot ${doing}: ${found.map(vm => vm.ref.$value).join(' and ')} have this name; use the id instead`)
  return one.ref
}

/** Where the appliance's VM stands now. @throws {AppError} VSPHERE_NOT_FOUND, VSPHERE_STATE when it is on no host */
export async function locate(session: VsphereSession, appliance: Ref, signal: AbortSignal): Promise<Site> {
  const options = { signal, doing: 'find the place of the appliance VM' }
  const vm = await readObject(session, appliance, ['name', 'parent', 'runtime.host', 'resourcePool'], options)
  const host = refOf(vm, 'runtime.host')
  const pool = refOf(vm, 'resourcePool')
  if (host === undefined || pool === undefined) throw new AppError('VSPHERE_STATE', `cannot ${options.doing}: it is on no host or in no resource pool`)
  const { datacenter, path } = await datacenterOf(session, host, signal)
  const parent = refOf(vm, 'parent')
  const folder = parent?.attributes.type === 'Folder' ? parent : readAnswer(Ref, datacenter.properties.get('vmFolder'), options.doing)
  return {
    vm: appliance, vmName: shownName(text(vm, 'name')), host, pool, folder,
    datacenter: datacenter.ref, datacenterName: shownName(text(datacenter, 'name')), datacenterPath: path,
  }
}

async function datacenterOf(session: VsphereSession, from: Ref, signal: AbortSignal): Promise<{ datacenter: ManagedObject, path: string }> {
  const options = { signal, doing: 'find the datacenter of the appliance' }
  const isRoot = (ref: Ref): boolean => ref.$value === session.content.rootFolder.$value
  let datacenter: ManagedObject | undefined
  const names: string[] = []
  for (let at: Ref | undefined = from; at !== undefined && !isRoot(at);) {
    const inDatacenter = datacenter === undefined && at.attributes.type !== 'Datacenter'
    const object = await readObject(session, at, inDatacenter ? ['parent'] : ['name', 'parent', 'vmFolder'], options)
    if (!inDatacenter) {
      datacenter ??= object
      names.unshift(text(object, 'name'))
    }
    at = refOf(object, 'parent')
  }
  if (datacenter === undefined) throw new AppError('VSPHERE_NOT_FOUND', `cannot ${options.doing}: none of the objects above it is one, or the account may not see it`)
  return { datacenter, path: names.join('/') }
}

/** The inventory as people see it. */
export async function readPlaces(session: VsphereSession, site: Site, signal: AbortSignal): Promise<Places> {
  const options = { signal, doing: 'read the inventory' }
  const host = await readObject(session, site.host, ['name', 'runtime.connectionState', 'runtime.inMaintenanceMode'], options)
  const [datastores, networks, vms] = await Promise.all([
    readDatastores(session, site, signal), readNetworks(session, site, signal), readAll(session, 'VirtualMachine', site.datacenter, ['name'], options),
  ])
  return {
    product: session.content.about.fullName, apiVersion: session.content.about.apiVersion,
    datacenter: site.datacenterName, host: text(host, 'name'),
    hostConnected: text(host, 'runtime.connectionState') === 'connected', maintenance: host.properties.get('runtime.inMaintenanceMode') === true,
    applianceVm: site.vmName,
    datastores: datastores.map(({ name, id, capacityBytes, freeBytes, maxFileBytes, accessible }) =>
      ({ name, id, capacityBytes, freeBytes, accessible, ...maxFileBytes === undefined ? {} : { maxFileBytes } })),
    networks: networks.map(({ name, id, kind, switchUuid }) => ({ name, id, kind, ...switchUuid === undefined ? {} : { switchUuid } })),
    vmNames: vms.map(vm => shownName(text(vm, 'name'))),
  }
}

/** The datastores that the appliance's host reaches. */
async function readDatastores(session: VsphereSession, site: Site, signal: AbortSignal): Promise<SiteDatastore[]> {
  const options = { signal, doing: 'read the datastores of the host' }
  const host = await readObject(session, site.host, ['datastore'], options)
  const paths = ['name', 'summary.capacity', 'summary.freeSpace', 'summary.accessible', 'summary.maintenanceMode', 'info.maxFileSize', 'browser', 'vm']
  const stores = await readObjects(session, readAnswer(Refs, host.properties.get('datastore') ?? [], options.doing), paths, options)
  return stores.map(store => {
    const maxFileBytes = number(store, 'info.maxFileSize')
    const maintenance = store.properties.get('summary.maintenanceMode') ?? 'normal'
    return {
      ref: store.ref, id: store.ref.$value, name: shownName(text(store, 'name')),
      capacityBytes: number(store, 'summary.capacity') ?? 0, freeBytes: Math.max(0, number(store, 'summary.freeSpace') ?? 0),
      ...maxFileBytes === undefined || maxFileBytes <= 0 ? {} : { maxFileBytes },
      accessible: store.properties.get('summary.accessible') === true && maintenance === 'normal',
      browser: refOf(store, 'browser'), vms: readAnswer(Refs, store.properties.get('vm') ?? [], options.doing),
    }
  })
}

/** The datastore of this name. @throws {AppError} DATASTORE_NOT_FOUND when the host does not reach one */
export async function readDatastore(session: VsphereSession, site: Site, name: string, signal: AbortSignal): Promise<SiteDatastore> {
  const stores = await readDatastores(session, site, signal)
  const found = stores.find(s => s.name === name)
  if (found === undefined) {
    throw new AppError('DATASTORE_NOT_FOUND', `the host of the appliance has no datastore "${name}"; it has ${stores.map(s => s.name).join(', ')}`)
  }
  if (!found.accessible) throw new AppError('DATASTORE_NOT_FOUND', `the datastore "${name}" cannot be used now: it is not accessible or in maintenance`)
  return found
}

/** The port groups of the appliance's host, without those that are a switch's uplinks. */
export async function readNetworks(session: VsphereSession, site: Site, signal: AbortSignal): Promise<SiteNetwork[]> {
  const options = { signal, doing: 'read the networks of the host' }
  const host = await readObject(session, site.host, ['network'], options)
  const refs = readAnswer(Refs, host.properties.get('network') ?? [], options.doing)
  const standard = await readObjects(session, refs.filter(r => r.attributes.type === 'Network'), ['name'], options)
  const distributed = await readObjects(session, refs.filter(r => r.attributes.type === 'DistributedVirtualPortgroup'), ['name', 'key', 'config.distributedVirtualSwitch', 'config.uplink', 'tag'], options)
  const usable = distributed.filter(pg => pg.properties.get('config.uplink') !== true && !JSON.stringify(pg.properties.get('tag') ?? '').includes(UPLINK_TAG))
  const switches = await readObjects(session, distinct(usable.flatMap(pg => refOf(pg, 'config.distributedVirtualSwitch') ?? [])), ['uuid'], options)
  return [
    ...standard.map(n => ({ ref: n.ref, id: n.ref.$value, name: shownName(text(n, 'name')), kind: 'standard' as const })),
    ...usable.map(pg => ({
      ref: pg.ref, id: pg.ref.$value, name: shownName(text(pg, 'name')), kind: 'distributed' as const, portgroupKey: text(pg, 'key'),
      switchUuid: text(switches.find(s => s.ref.$value === refOf(pg, 'config.distributedVirtualSwitch')?.$value), 'uuid'),
    })),
  ]
}

/** A text property, '' when the object has it not. */
export function text(object: ManagedObject | undefined, path: string): string {
  const value = object?.properties.get(path)
  return typeof value === 'string' ? value : ''
}

/** A reference property, undefined when the object has it not. */
function refOf(object: ManagedObject, path: string): Ref | undefined {
  return Ref.safeParse(object.properties.get(path)).data
}

function number(object: ManagedObject, path: string): number | undefined {
  const value = object.properties.get(path)
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined
}

function distinct(refs: readonly Ref[]): Ref[] {
  return [...new Map(refs.map(r => [r.$value, r])).values()]
}
