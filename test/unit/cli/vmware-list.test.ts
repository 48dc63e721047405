import t from 'tap'
import type { Places } from '../../../src/domain/target.ts'
import { run, startAppliance } from './fake-appliance.ts'
import { vmware } from './records.ts'

const places: Places = {
  product: 'p', apiVersion: '8.0', datacenter: 'DC0', host: 'esx1', hostConnected: true, maintenance: true, applianceVm: 'vm-1',
  datastores: [{ name: 'ds1', id: 'd-1', capacityBytes: 2 ** 40, freeBytes: 2 ** 39, accessible: true }, { name: 'ds2', id: 'd-2', capacityBytes: 0, freeBytes: 0, accessible: false }],
  networks: [{ name: 'VM Network', id: 'n-1', kind: 'standard' }], vmNames: [],
}

t.test('VMware servers are listed, with their places when asked', async t => {
  await using appliance = await startAppliance(t.testdir({}))
  appliance.on('GET /vmware', { status: 200, body: [vmware] })
  appliance.on('GET /vmware/v-1/places', { status: 200, body: places })
  t.equal((await run(appliance, ['vmware', 'list'])).out, 'NAME  ADDRESS         USER   PRODUCT                    CERTIFICATE\nvc1   vc.example:443  admin  VMware vCenter Server 8.0  verified\n')
  t.equal(appliance.seen.length, 1)
  const { out } = await run(appliance, ['vmware', 'list', '--places'])
  for (const part of [/vc1: host esx1 in DC0, in maintenance/, /^ds1 +512 GiB +1.00 TiB +accessible$/m, /^ds2 .*not accessible$/m, /^VM Network +standard$/m]) t.match(out, part)
  t.same(JSON.parse((await run(appliance, ['vmware', 'list', '--places', '--json'])).out), [{ ...vmware, places }])
})
