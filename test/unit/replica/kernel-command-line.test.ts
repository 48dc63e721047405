import t from 'tap'
import { hardwareWords } from '../../../src/replica/check-hardware-words.ts'
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
  t.match(rewriteCommandLine('quiet cloud-init=enabled ro', references), { text: 'quiet ro', messages: [/cloud-init/] }, 'a word that would undo what the fix-ups say')
  t.equal(rewriteCommandLine('root=/dev/vda2', references).text, 'root=UUID=dd000000-0000-4000-8000-000000000002')
})

t.test('only command lines are touched in the defaults, in every quoting', async t => {
  const text = 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/vda5"\nGRUB_CMDLINE_LINUX=\'resume=/dev/sdz9 a=b\'\n#GRUB_CMDLINE_LINUX="resume=/dev/vda5"\nGRUB_DISABLE_LINUX_UUID=true\n'
  t.equal(rewriteGrubDefaults(text, references).text, 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet resume=UUID=dd000000-0000-4000-8000-000000000003"\nGRUB_CMDLINE_LINUX=\'a=b\'\n#GRUB_CMDLINE_LINUX="resume=/dev/vda5"\n'
    + '# landfall: the replica\'s disks have other names: GRUB_DISABLE_LINUX_UUID=true\n')
})

t.test('what is said of processors and memory is told where the replica has less of them', async t => {
  const source = { cores: 8, memoryBytes: 2 ** 34 }
  const line = 'root=x crashkernel=512M hugepagesz=1G hugepages=8 isolcpus=domain,managed_irq,2-7 nohz_full=2,3 rcu_nocbs=0-7:1/2 intel_iommu=on,sm_on quiet'
  t.same(hardwareWords(line, source, { cores: 4, memoryBytes: 2 ** 33 }).map(message => message.split(/[ :]/)[0]), ['crashkernel=512M', 'hugepages=8', 'isolcpus=domain,managed_irq,2-7', 'rcu_nocbs=0-7', 'intel_iommu=on,sm_on'])
  t.same(hardwareWords(line, source, source).map(message => message.split(/[ :]/)[0]), ['intel_iommu=on,sm_on'])
  t.same(hardwareWords('crashkernel=auto crashkernel=1G-4G:192M,4G-:256M isolcpus=1 nohz_full=all intel_iommu=off', source, { cores: 2, memoryBytes: 2 ** 30 }), [], 'what is worked out at each boot, or holds there')
})
