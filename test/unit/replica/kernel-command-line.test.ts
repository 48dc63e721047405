import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { rewriteCommandLine, rewriteGrubDefaults } from '../../../src/replica/kernel-command-line.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { debian12, options, places } from './workloads.ts'

const workload = debian12()
const references = new DeviceReferences(planReplica({ jobId: 'j', workload, options: options(), places: places() }), workload)

t.test('parameters that resolve or name no device stay, to the blank', async t => {
  const line = 'quiet  console=ttyS0,115200 resume=UUID=dd000000-0000-4000-8000-000000000003 net.ifnames=0'
  t.same(rewriteCommandLine(line, references), { text: line, messages: [] })
})

t.test('old names become UUIDs, and a device that is gone is not waited for', async t => {
  t.equal(rewriteCommandLine('quiet resume=/dev/vda5 splash', references).text, 'quiet resume=UUID=dd000000-0000-4000-8000-000000000003 splash')
  t.equal(rewriteCommandLine('quiet resume=/dev/sdz9 splash', references).text, 'quiet splash')
  t.equal(rewriteCommandLine('root=/dev/vda2', references).text, 'root=UUID=dd000000-0000-4000-8000-000000000002')
})

t.test('only command lines are touched in the defaults, in every quoting', async t => {
  const text = 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/vda5"\nGRUB_CMDLINE_LINUX=\'resume=/dev/sdz9 a=b\'\n#GRUB_CMDLINE_LINUX="resume=/dev/vda5"\nGRUB_DISABLE_LINUX_UUID=true\n'
  t.equal(rewriteGrubDefaults(text, references).text, 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=UUID=dd000000-0000-4000-8000-000000000003"\nGRUB_CMDLINE_LINUX=\'a=b\'\n#GRUB_CMDLINE_LINUX="resume=/dev/vda5"\n'
    + '# landfall: the replica\'s disks have other names: GRUB_DISABLE_LINUX_UUID=true\n')
})
