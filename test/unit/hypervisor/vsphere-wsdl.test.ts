import { createClientAsync } from 'soap'
import t from 'tap'
import { OPERATIONS } from '../../../src/hypervisor/vsphere-types.ts'
import { vsphereWsdl } from '../../../src/hypervisor/vsphere-wsdl.ts'

t.test('node-soap offers every operation of the table', async t => {
  const client = await createClientAsync(vsphereWsdl(), { disableCache: true })
  for (const operation of Object.keys(OPERATIONS)) t.type(client[`${operation}Async`], 'function', operation)
})

t.test('an API version is asked for', async t => {
  t.match(vsphereWsdl(), /soapAction="urn:vim25\/6\.5"/)
})
