import t, { type Test } from 'tap'
import { missingInImage } from '../../../src/replica/initramfs-content.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { ReplicaFiles } from '../../../src/replica/replica-files.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const HEAD = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 18G 83\nfs /boot sda1 ext4:2016\n'
const DRIVERS = ['vmw_pvscsi', 'sd_mod', 'vmxnet3', 'ext4'].map(name => `usr/lib/modules/1/${name}.ko`)

async function missing(t: Test, text: string, paths: readonly string[]): Promise<readonly string[]> {
  const { workload, layout } = readSource('image', text)
  await using files = await ReplicaFiles.open(t.testdir({ lib: { modules: { 1: { 'modules.builtin': '' } } } }))
  const chosen = options({ layout })
  const plan = planReplica({ jobId: 'j', workload, options: chosen, places: places() })
  const run = async (): Promise<never> => Promise.reject(new Error('nothing is run'))
  return await missingInImage({ files, plan, workload, options: chosen, bootDevice: '/dev/sda', bootDiskUuid: '', run }, { version: '1', modules: [], builtIn: [] }, paths)
}

t.test('an image needs LVM where the root is a logical volume, and not where it was only unlocked', async t => {
  const logical = `${HEAD}vg v sda2\nlv v/root 10G\nfs / v/root ext4:2016\n`
  t.same(await missing(t, logical, DRIVERS), ['lvm'])
  t.same(await missing(t, logical, [...DRIVERS, 'usr/sbin/lvm']), [])
  t.same(await missing(t, `${HEAD}luks sda2_crypt sda2 LUKS2\nfs / sda2_crypt ext4:2016\n`, DRIVERS), [], 'decrypted it is a plain partition')
  t.same(await missing(t, `${HEAD}luks sda2_crypt sda2 LUKS2\nfs / sda2_crypt ext4:2016\n`, DRIVERS.slice(1)), ['vmw_pvscsi'])
})
