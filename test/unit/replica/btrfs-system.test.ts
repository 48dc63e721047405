import t from 'tap'
import { DeviceReferences } from '../../../src/replica/device-references.ts'
import { bySubvolumeName, rewriteFstab } from '../../../src/replica/fix-fstab.ts'
import { rewriteCommandLine } from '../../../src/replica/kernel-command-line.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const HEAD = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 19G 83 boot\nsubvolumes sda1 @,@home,@/nested,data\n'
const planOf = (text: string): ReturnType<typeof planReplica> & { workload: ReturnType<typeof readSource>['workload'] } => {
  const { workload, layout } = readSource('btrfs', text)
  return { ...planReplica({ jobId: 'j', workload, options: options({ layout }), places: places() }), workload }
}
const fs = (mountPoint: string, subvolume: string): string => `fs ${mountPoint} sda1 btrfs:2022 rw subvol=${subvolume}\n`
const mounted = (...lines: string[]): string[] => planOf(HEAD + lines.join('')).volumes.map(v => v.volume.mountPoint ?? '')

t.test('a subvolume that is mounted twice, as itself and in another one, is copied once', async t => {
  t.same(mounted(fs('/', '@'), fs('/home', '@home')), ['/', '/home'])
  t.same(mounted(fs('/', '@'), fs('/nested', '@/nested')), ['/'], 'it is where it would be mounted')
  t.same(mounted(fs('/', '@'), fs('/srv', '@/nested')), ['/'], 'the system needs the outer one')
  t.same(planOf(HEAD + fs('/', '@') + fs('/srv', '@/nested')).differences.filter(d => d.code === 'VOLUME_LEFT_OUT'), [{ code: 'VOLUME_LEFT_OUT', subject: '/srv', message: 'Volume /srv comes with /, in which its subvolume lies.' }])
  t.same(mounted(fs('/', '@'), fs('/home', '@home'), fs('/all', '')), ['/', '/home'], 'the whole file system, mounted apart, would be everything once more')
})

t.test('subvolumes are named by what they are called, and the top by its number', async t => {
  t.same(bySubvolumeName(['rw', 'subvolid=257', 'subvol=/@'], '@'), ['rw', 'subvol=/@'])
  t.same(bySubvolumeName(['rw', 'subvolid=257'], '@'), ['rw', 'subvol=/@'])
  for (const top of ['subvolid=5', 'subvolid=0', 'subvolid=05']) t.same(bySubvolumeName([top], ''), [top])
  t.same(bySubvolumeName(['subvolid=55'], undefined), [], 'a mount point that is not known')
  t.same(bySubvolumeName(['noatime'], '@'), ['noatime'], 'the default one stays the default one')

  const { workload, ...plan } = planOf(HEAD + fs('/', '@') + fs('/home', '@home'))
  const references = new DeviceReferences(plan, workload)
  const uuid = plan.volumes[0]?.volume.fileSystem.uuid ?? ''
  t.same(rewriteFstab(`UUID=${uuid} / btrfs subvolid=256 0 0\nUUID=${uuid} /home btrfs noatime,subvolid=257,subvol=@home 0 0\n`, references, new Set()), {
    text: `UUID=${uuid} / btrfs subvol=/@ 0 0\nUUID=${uuid} /home btrfs noatime,subvol=@home 0 0\n`,
    messages: ['options subvolid=256 of / removed, subvol=/@ added', 'options subvolid=257 of /home removed'],
  })
  t.equal(rewriteCommandLine(`root=UUID=${uuid} ro rootflags=subvolid=256`, references).text, `root=UUID=${uuid} ro rootflags=subvol=/@`)
  t.equal(rewriteCommandLine(`root=UUID=${uuid} ro rootflags=subvol=@`, references).text, `root=UUID=${uuid} ro rootflags=subvol=@`)
})
