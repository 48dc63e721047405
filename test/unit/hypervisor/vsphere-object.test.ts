import t from 'tap'
import { anyString, decode, norm, readAnswer, ref, Ref, request, vim } from '../../../src/hypervisor/vsphere-object.ts'

const backing = vim('VirtualDiskFlatVer2BackingInfo', { diskMode: 'persistent', fileName: '[a] b.vmdk' })

t.test('fields take the order of the schema, whatever order they were written in', async t => {
  const disk = vim('VirtualDisk', { capacityInKB: 1, unitNumber: 2, controllerKey: 3, backing, key: 4 })
  t.strictSame(Object.keys(disk), ['attributes', 'key', 'backing', 'controllerKey', 'unitNumber', 'capacityInKB'])
  t.strictSame(Object.keys(backing), ['attributes', 'fileName', 'diskMode'])
})

t.test('a field that the type has not is refused', async t => {
  const misspelt: Record<string, number> = { key: 1, capacityInKb: 1 }
  t.throws(() => vim('VirtualDisk', misspelt), { message: 'VirtualDisk has no field capacityInKb' })
})

t.test('a required field that is missing is refused', async t => {
  t.throws(() => vim('VirtualDisk', { key: 1 }), { message: 'VirtualDisk needs the field capacityInKB' })
})

t.test('a value of another type is refused, an object of a derived type is not', async t => {
  t.throws(() => vim('VirtualDisk', { key: 'one', capacityInKB: 1 }), { message: 'VirtualDisk.key is not of type int' })
  t.throws(() => vim('VirtualDisk', { key: 1.5, capacityInKB: 1 }), { message: /not of type int/ })
  t.throws(() => vim('VirtualDisk', { key: 1, capacityInKB: 1, backing: vim('OptionValue', { key: 'a', value: anyString('b') }) }), { message: /VirtualDeviceBackingInfo/ })
  t.throws(() => vim('VirtualDeviceConfigSpec', { operation: 'add', device: ref('VirtualMachine', 'vm-1') }), { message: /not of type VirtualDevice/ })
  t.throws(() => vim('PropertySpec', { type: 'Task', pathSet: 'info' }), { message: 'PropertySpec.pathSet is a list' })
  t.doesNotThrow(() => vim('VirtualDeviceConfigSpec', { device: vim('ParaVirtualSCSIController', { key: 1, busNumber: 0, sharedBus: 'noSharing' }) }))
})

t.test('the arguments of an operation start with the object it is called on', async t => {
  const args = request('CreateVirtualDisk_Task', ref('VirtualDiskManager', 'vdm'), { spec: vim('FileBackedVirtualDiskSpec', { capacityKb: 1, adapterType: 'a', diskType: 'd' }), name: 'n' })
  t.strictSame(Object.keys(args), ['_this', 'name', 'spec'])
  t.throws(() => request('Logout', ref('SessionManager', 's'), { user: 'x' }), { message: 'Logout has no field user' })
})

t.test('the type attribute gets one name, whichever prefix the server writes', async t => {
  for (const prefix of ['xsi', '_XMLSchema-instance', 'XMLSchema-instance']) {
    t.strictSame(norm({ device: [{ attributes: { [`${prefix}:type`]: 'VirtualDisk' }, key: 1 }] }), { device: [{ attributes: { 'xsi:type': 'VirtualDisk' }, key: 1 }] })
  }
})

t.test('the type of a reference stays', async t => {
  t.strictSame(norm({ attributes: { type: 'Task' }, $value: 'task-1' }), ref('Task', 'task-1'))
})

const any = (type: string, more: Record<string, unknown> = {}): unknown => norm({ attributes: { '_XMLSchema-instance:type': type }, ...more })

t.test('simple values of anyType become values', async t => {
  t.equal(decode(any('xsd:boolean', { $value: 'true' })), true)
  t.equal(decode(any('xsd:boolean', { $value: 'false' })), false)
  t.equal(decode(any('xsd:int', { $value: '-7' })), -7)
  t.equal(decode(any('xsd:long', { $value: '1099511627776' })), 1099511627776)
  t.equal(decode(any('xsd:long', { $value: '9007199254740993' })), 9007199254740993n)
  t.equal(decode(any('xsd:double', { $value: '1.5' })), 1.5)
  t.equal(decode(any('xsd:string', { $value: 'a' })), 'a')
  t.equal(decode(any('xsd:string')), '', 'an empty string arrives without a value')
  t.strictSame(decode(any('xsd:dateTime', { $value: '2026-01-02T03:04:05Z' })), new Date('2026-01-02T03:04:05Z'))
})

t.test('enumerations become strings, references stay references, objects stay objects', async t => {
  t.equal(decode(any('TaskInfoState', { $value: 'success' })), 'success')
  t.strictSame(decode(norm({ attributes: { 'xsi:type': 'ManagedObjectReference', type: 'Task' }, $value: 'task-1' })), { attributes: { type: 'Task' }, $value: 'task-1' })
  t.match(decode(any('AboutInfo', { name: 'x' })), { name: 'x' })
})

t.test('arrays of anyType become arrays, of one and of none too', async t => {
  t.strictSame(decode(any('ArrayOfString', { string: ['a', 'b'] })), ['a', 'b'])
  t.strictSame(decode(any('ArrayOfString', { string: 'a' })), ['a'])
  t.strictSame(decode(any('ArrayOfString')), [])
})

t.test('an answer of another form is an error of the server, not a crash', async t => {
  t.throws(() => readAnswer(Ref, { no: 'reference' }, 'start the task'), { code: 'VSPHERE_FAULT', message: 'cannot start the task: the VMware server answered in a form that is not known' })
})
