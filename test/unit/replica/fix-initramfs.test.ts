import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { resumeLine, withModules } from '../../../src/replica/fix-initramfs.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { debian12, options, places } from './workloads.ts'

function references(withSwap: boolean): DeviceReferences {
  const workload = debian12()
  if (!withSwap) workload.volumes = workload.volumes.filter(v => v.fileSystem.type !== 'swap')
  return new DeviceReferences(planReplica({ jobId: 'j', workload, options: options(), places: places() }), workload)
}

t.test('drivers are added once, whatever the file held and however it wrote them', async t => {
  const once = withModules('# List of modules\nmpt-spi x=1\nvmxnet3', ['vmxnet3', 'vmw_pvscsi', 'mpt_spi'])
  t.equal(once, '# List of modules\nmpt-spi x=1\nvmxnet3\n# added by the migration: drivers of the virtual hardware\nvmw_pvscsi\n')
  t.equal(withModules(once, ['vmxnet3', 'vmw_pvscsi', 'mpt_spi']), once)
})

t.test('a resume setting that works, or says none, is left alone', async t => {
  t.equal(resumeLine('none', references(true)), '')
  t.equal(resumeLine('UUID=dd000000-0000-4000-8000-000000000003', references(true)), '')
})

t.test('a resume setting of the old hardware, or none at all, is set to the swap of the replica', async t => {
  for (const setting of ['', 'auto', '/dev/vda5', 'UUID=00000000-0000-4000-8000-000000000099']) {
    t.equal(resumeLine(setting, references(true)), 'RESUME=UUID=dd000000-0000-4000-8000-000000000003\n', setting)
  }
})

t.test('without swap nothing is resumed from: the tool would find the swap of the appliance', async t => {
  t.equal(resumeLine('', references(false)), 'RESUME=none\n')
})
