import t from 'tap'
import { freeSlot, plainUuid, readDevices, slotOfDisk, type Devices } from '../../../src/hypervisor/vsphere-devices.ts'

const device = (type: string, fields: Record<string, unknown>) => ({ attributes: { 'xsi:type': type }, ...fields })
const controller = (key: number, busNumber: number, type = 'ParaVirtualSCSIController') => device(type, { key, busNumber, sharedBus: 'noSharing', scsiCtlrUnitNumber: 7 })
const disk = (controllerKey: number, unitNumber: number) => device('VirtualDisk', { key: 2000 + unitNumber, controllerKey, unitNumber, capacityInKB: 1024, backing: { fileName: `[a] ${String(unitNumber)}.vmdk` } })
const full = (controllerKey: number) => Array.from({ length: 16 }, (_, unit) => unit).filter(unit => unit !== 7).map(unit => disk(controllerKey, unit))
const at = (...items: unknown[]): Devices => readDevices(items)

t.test('the first free unit is taken', async t => {
  t.strictSame(freeSlot(at(controller(1000, 0), disk(1000, 0), disk(1000, 2))), { controllerKey: 1000, unitNumber: 1 })
})

t.test('unit 7 is never taken', async t => {
  const sevenFirst = [0, 1, 2, 3, 4, 5, 6].map(unit => disk(1000, unit))
  t.strictSame(freeSlot(at(controller(1000, 0), ...sevenFirst)), { controllerKey: 1000, unitNumber: 8 })
})

t.test('a full controller is followed by a new one on the next bus', async t => {
  t.strictSame(freeSlot(at(controller(1000, 0), ...full(1000))), { newBus: 1, unitNumber: 0 })
  t.strictSame(freeSlot(at(controller(1001, 1), ...full(1001))), { newBus: 0, unitNumber: 0 })
})

t.test('a PVSCSI controller is preferred to another that is free', async t => {
  t.strictSame(freeSlot(at(controller(1000, 0, 'VirtualLsiLogicController'), controller(1001, 1))), { controllerKey: 1001, unitNumber: 0 })
})

t.test('another SCSI controller serves when there is no PVSCSI', async t => {
  t.strictSame(freeSlot(at(controller(1000, 0, 'VirtualLsiLogicSASController'), disk(1000, 0))), { controllerKey: 1000, unitNumber: 1 })
})

t.test('with four full controllers there is no place', async t => {
  const items = [0, 1, 2, 3].flatMap(bus => [controller(1000 + bus, bus), ...full(1000 + bus)])
  t.equal(freeSlot(at(...items)), undefined)
})

t.test('the appliance takes 59 disks beside its own', async t => {
  const items: unknown[] = [controller(1000, 0), disk(1000, 0)]
  let placed = 0
  for (let slot = freeSlot(at(...items)); slot !== undefined; slot = freeSlot(at(...items))) {
    const key = 'newBus' in slot ? 1000 + slot.newBus : slot.controllerKey
    if ('newBus' in slot) items.push(controller(key, slot.newBus))
    items.push(disk(key, slot.unitNumber))
    placed += 1
  }
  t.equal(placed, 59)
})

t.test('disks are read with plain UUIDs and the larger of the two sizes', async t => {
  const { disks } = at(device('VirtualDisk', { key: 1, controllerKey: 2, unitNumber: 3, capacityInKB: 8, capacityInBytes: 8192, backing: { fileName: '[a] x.vmdk', uuid: '6000C29A-1b2c-3d4e-5f60-718293a4b5c6' } }))
  t.strictSame(disks, [{ key: 1, path: '[a] x.vmdk', parents: [], controllerKey: 2, unitNumber: 3, uuid: '6000c29a1b2c3d4e5f60718293a4b5c6', sizeBytes: 8192 }])
})

t.test('the disks that a child reads from are told, the nearest first', async t => {
  const { disks } = at(device('VirtualDisk', { key: 1, backing: { fileName: '[a] x-2.vmdk', parent: { fileName: '[a] x-1.vmdk', diskMode: 'persistent', parent: { fileName: '[a] x.vmdk' } } } }),
    device('VirtualDisk', { key: 2, backing: { fileName: '[a] y.vmdk', parent: { fileName: { attributes: {} } } } }))
  t.strictSame(disks.map(d => [d.path, d.parents]), [['[a] x-2.vmdk', ['[a] x-1.vmdk', '[a] x.vmdk']], ['[a] y.vmdk', []]])
})

t.test('devices that the table does not know do not disturb', async t => {
  const devices = at(device('VirtualIDEController', { key: 200, busNumber: '0', device: ['3000'] }), device('VirtualCdrom', { key: 3000, controllerKey: 200, unitNumber: 0, backing: { fileName: { attributes: {} } } }))
  t.strictSame(devices.disks, [])
  t.strictSame(devices.controllers, [])
})

t.test('a UUID is read in each of the forms that servers write', async t => {
  const plain = '6000c29a1b2c3d4e5f60718293a4b5c6'
  t.equal(plainUuid('6000C29a-1b2c-3d4e-5f60-718293a4b5c6'), plain)
  t.equal(plainUuid('60 00 c2 9a 1b 2c 3d 4e-5f 60 71 82 93 a4 b5 c6'), plain)
  t.equal(plainUuid('short'), '')
})

t.test('the disks of a new VM go to 0:0 and on, without unit 7', async t => {
  t.strictSame(slotOfDisk(0), { bus: 0, unit: 0 })
  t.strictSame(slotOfDisk(6), { bus: 0, unit: 6 })
  t.strictSame(slotOfDisk(7), { bus: 0, unit: 8 })
  t.strictSame(slotOfDisk(14), { bus: 0, unit: 15 })
  t.strictSame(slotOfDisk(15), { bus: 1, unit: 0 })
  t.strictSame(slotOfDisk(59), { bus: 3, unit: 15 })
  t.equal(slotOfDisk(60), undefined)
})
