/** Reading the devices of a VM and deciding where a disk goes. No calls here. */
import { z } from 'zod'
import { isA } from './vsphere-types.ts'
import { readAnswer, typeOf } from './vsphere-object.ts'

const DISKS_PER_CONTROLLER = 16 // unit numbers; one of them is the controller's own
const RESERVED_UNIT = 7
const MAX_CONTROLLERS = 4

// What devices have that our type table does not know arrives as text; only disks, SCSI controllers and adapters matter here.
const Text = z.string().optional().catch(undefined)
const Count = z.coerce.number().optional().catch(undefined)
interface Parent { fileName: string, parent?: Parent | undefined }
const Parent: z.ZodType<Parent> = z.lazy(() => z.object({ fileName: z.string(), parent: Parent.optional().catch(undefined) }))
const Device = z.object({
  key: z.coerce.number(), controllerKey: Count, unitNumber: Count, busNumber: Count, scsiCtlrUnitNumber: Count, capacityInKB: Count, capacityInBytes: Count,
  macAddress: Text,
  backing: z.object({ fileName: Text, uuid: Text, parent: Parent.optional().catch(undefined) }).optional().catch(undefined),
})

export interface Controller { readonly key: number, readonly busNumber: number, readonly paravirtual: boolean, readonly ownUnit: number }
export interface AttachedDisk {
  readonly key: number
  readonly path: string
  /** of the disks that this one is a child of, in whatever generation; the nearest first */
  readonly parents: readonly string[]
  readonly controllerKey: number
  readonly unitNumber: number
  /** 32 lower-case hex digits, '' when the server told none */
  readonly uuid: string
  /** 0 when the server told none */
  readonly sizeBytes: number
}

/** The devices of a VM, as far as we use them. */
export interface Devices {
  readonly controllers: readonly Controller[]
  readonly disks: readonly AttachedDisk[]
  readonly macAddresses: readonly string[]
  /** unit numbers in use, by the key of the controller */
  readonly usedUnits: ReadonlyMap<number, ReadonlySet<number>>
}

/** Reads the property config.hardware.device; a VM whose configuration the server cannot read has none. */
export function readDevices(property: unknown): Devices {
  const controllers: Controller[] = []
  const disks: AttachedDisk[] = []
  const macAddresses: string[] = []
  const usedUnits = new Map<number, Set<number>>()
  for (const item of Array.isArray(property) ? property : []) {
    const type = typeOf(item) ?? ''
    const d = readAnswer(Device, item, 'read the devices of a VM')
    if (d.controllerKey !== undefined && d.unitNumber !== undefined) {
      const used = usedUnits.get(d.controllerKey) ?? new Set()
      usedUnits.set(d.controllerKey, used.add(d.unitNumber))
    }
    if (isA(type, 'VirtualSCSIController')) {
      controllers.push({ key: d.key, busNumber: d.busNumber ?? 0, paravirtual: isA(type, 'ParaVirtualSCSIController'), ownUnit: d.scsiCtlrUnitNumber ?? RESERVED_UNIT })
    } else if (type === 'VirtualDisk' && d.backing?.fileName !== undefined) {
      disks.push({
        key: d.key, path: d.backing.fileName, parents: [...lineage(d.backing.parent)], controllerKey: d.controllerKey ?? -1, unitNumber: d.unitNumber ?? -1,
        uuid: plainUuid(d.backing.uuid ?? ''), sizeBytes: Math.max(d.capacityInBytes ?? 0, (d.capacityInKB ?? 0) * 1024),
      })
    } else if (d.macAddress !== undefined) macAddresses.push(d.macAddress.toLowerCase())
  }
  return { controllers, disks, macAddresses, usedUnits }
}

function* lineage(parent: Parent | undefined): Generator<string> {
  for (let one = parent; one !== undefined; one = one.parent) yield one.fileName
}

/** A UUID as 32 lower-case hex digits, from "6000C29x-…" or "60 00 C2 9x …"; '' when it is none. */
export function plainUuid(uuid: string): string {
  const digits = uuid.replace(/[^0-9a-fA-F]/g, '').toLowerCase()
  return digits.length === 32 ? digits : ''
}

/** A free place: on a controller that is there, or on one to be added at a bus. */
export type Slot = { readonly controllerKey: number, readonly unitNumber: number } | { readonly newBus: number, readonly unitNumber: number }

/**
 * The first free place for a disk: PVSCSI controllers before others, lower buses before higher ones, then a PVSCSI controller to be added,
 * undefined when all 4 x 15 are taken. The server's word is not asked: what it does with a taken or reserved unit differs.
 */
export function freeSlot(devices: Devices): Slot | undefined {
  const ranked = [...devices.controllers].sort((a, b) => Number(b.paravirtual) - Number(a.paravirtual) || a.busNumber - b.busNumber)
  for (const controller of ranked) {
    const used = devices.usedUnits.get(controller.key)
    for (let unit = 0; unit < DISKS_PER_CONTROLLER; unit += 1) {
      if (unit !== RESERVED_UNIT && unit !== controller.ownUnit && used?.has(unit) !== true) return { controllerKey: controller.key, unitNumber: unit }
    }
  }
  for (let bus = 0; bus < MAX_CONTROLLERS; bus += 1) {
    if (!devices.controllers.some(c => c.busNumber === bus)) return { newBus: bus, unitNumber: 0 }
  }
  return undefined
}

/** Bus and unit of the n-th disk of a new VM: 0:0, 0:1 … without unit 7, then the next bus; undefined beyond the last. */
export function slotOfDisk(index: number): { bus: number, unit: number } | undefined {
  const perBus = DISKS_PER_CONTROLLER - 1
  const bus = Math.floor(index / perBus)
  const place = index % perBus
  return bus < MAX_CONTROLLERS ? { bus, unit: place < RESERVED_UNIT ? place : place + 1 } : undefined
}
