import t from 'tap'
import { fieldsOf, isA, OPERATIONS, parseField, TYPES, typeEntry } from '../../../src/hypervisor/vsphere-types.ts'

const SIMPLE = ['string', 'int', 'long', 'boolean', 'dateTime', 'anyType', 'ref']

t.test('every field is of a type that the table has', async t => {
  for (const [name, entry] of [...Object.entries(TYPES), ...Object.entries(OPERATIONS)]) {
    for (const [field, short] of Object.entries(entry.fields)) {
      const { type } = parseField(field, short)
      t.ok(SIMPLE.includes(type) || typeEntry(type) !== undefined, `${name}.${field} is ${type}`)
    }
  }
})

t.test('every base is in the table, and no type is its own base', async t => {
  for (const name of Object.keys(TYPES)) t.doesNotThrow(() => fieldsOf(name), name)
})

t.test('the fields of the base come first', async t => {
  t.strictSame(fieldsOf('ParaVirtualSCSIController').map(f => f.name), [
    'key', 'deviceInfo', 'backing', 'connectable', 'controllerKey', 'unitNumber', 'busNumber', 'device', 'hotAddRemove', 'sharedBus', 'scsiCtlrUnitNumber',
  ])
})

t.test('derivation is followed over several steps', async t => {
  t.ok(isA('VirtualVmxnet3', 'VirtualDevice'))
  t.notOk(isA('VirtualDevice', 'VirtualVmxnet3'))
  t.notOk(isA('NoSuchType', 'VirtualDevice'))
})
