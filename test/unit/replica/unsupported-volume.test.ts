/** What of a described source is refused, and in which words. */
import t from 'tap'
import { checkPlan } from '../../../src/replica/check-plan.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import type { Workload } from '../../../src/domain/workload.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const LVM = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 19455M 8e\nfs /boot sda1 ext4:2016\n'

function refusals(text: string, change: (w: Workload) => void = () => undefined): string[] {
  const { workload, layout } = readSource('refused', text)
  change(workload)
  const input = { jobId: 'job1', workload, options: options({ layout }), places: places() }
  return checkPlan({ ...input, plan: planReplica(input) }).filter(f => f.code === 'SOURCE_UNSUPPORTED' && f.severity === 'error').map(f => f.message)
}

t.test('logical volumes are taken; a group that LVM itself would not take, or that is not all there, is told', async t => {
  const text = `${LVM}vg v sda2\nlv v/root 10G\nfs / v/root ext4:2016\n`
  t.same(refusals(text), [])
  const group = (change: object) => (w: Workload): void => { for (const g of w.layers?.volumeGroups ?? []) Object.assign(g, change) }
  t.match(refusals(text, group({ shared: true })), [/shared by several hosts/])
  t.match(refusals(text, group({ partial: true })), [/physical volumes are missing/])
  t.match(refusals(text, group({ format: 'lvm1' })), [/vgconvert/])
  t.match(refusals(text, group({ tags: ['a b'] })), [/"a b" is no tag of LVM/])
  t.match(refusals(text, w => { for (const p of w.layers?.volumeGroups[0]?.physicalVolumes ?? []) p.on = '' }), [/a device that is not known/])
})

t.test('an array, an unlocked container and a multipath map are no reason to refuse when they are taken away', async t => {
  const text = 'os debian 12 "Debian" bios grub2 initramfs-tools\nmpath mpatha sdx,sdy\ndisk mpatha 20G dos\npart 1 1M 10G 83 boot\npart 2 10241M 8G 83\ndisk sdb 10G none\ndisk sdc 10G none\nraid md0 raid1 10G sdb,sdc\nluks safe mpatha2 LUKS2\nfs / mpatha1 ext4:2016\nfs /srv md0 xfs:rhel9\nfs /safe safe ext4:2016\n'
  t.same(refusals(text), [])
  t.same(refusals(`${text}option encryption re-encrypt\n`), [])
})

t.test('data and a system on btrfs are taken; a device in a stack that is not known is named', async t => {
  const text = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 10G 83 boot\npart 2 10241M 8G 83\n'
  t.same(refusals(`${text}fs / sda1 ext4:2016\nsubvolumes sda2 a,b!\nfs /a sda2 btrfs:2022 rw subvol=a\nfs /b sda2 btrfs:2022 rw subvol=b\n`), [])
  t.same(refusals(`${text}subvolumes sda1 @\nfs / sda1 btrfs:2022 rw subvol=@\n`), [])
  t.match(refusals(`${text}fs / sda1 ext4:2016\nfs /x sda2 ext4:2016\n`, w => { for (const v of w.volumes) if (v.name === '/x') v.on = 'bcache0' }), [/it lies on bcache0, which is not known/])
})

t.test('a system is encrypted anew where its initramfs unlocks it, and GRUB need not', async t => {
  const source = (os: string, boot = true): string => `os ${os} bios grub2 initramfs-tools\ndisk sda 20G dos\npart 1 1M 1G 83 boot\npart 2 1025M 18G 83\nluks safe sda2 LUKS2\nvg v safe\nlv v/root 10G\n${boot ? 'fs /boot sda1 ext4:2016\n' : ''}fs / v/root ext4:2016\noption encryption re-encrypt\n`
  for (const os of ['debian 12 "Debian"', 'ubuntu 18.04 "Ubuntu"', 'rhel 9.4 "RHEL"', 'sles 15.5 "SLES"']) t.same(refusals(source(os)), [], os)
  for (const os of ['debian 8 "Debian"', 'ubuntu 16.04 "Ubuntu"', 'rhel 5.11 "RHEL"', 'sles 11.4 "SLES"']) t.match(refusals(source(os)), [/initramfs of this release.*--encryption decrypt/], os)
  t.match(refusals(source('debian 12 "Debian"', false)), [/GRUB would have to unlock it.*--encryption decrypt/])
})

t.test('data is encrypted anew on any release, unless cryptsetup could not make what it is', async t => {
  const text = 'os sles 11.4 "SLES" bios grub-legacy unknown\ndisk sda 20G dos\npart 1 1M 10G 83 boot\npart 2 10241M 8G 83\nluks safe sda2 LUKS1\nfs / sda1 ext3:2010\nfs /safe safe ext3:2010\noption encryption re-encrypt\n'
  const container = (change: object) => (w: Workload): void => { for (const e of w.layers?.encryptions ?? []) Object.assign(e, change) }
  t.same(refusals(text), [])
  t.match(refusals(text, container({ label: 'x' })), [/its label "x" cannot be given/])
  t.match(refusals(text, w => { for (const e of w.layers?.encryptions ?? []) e.sizeBytes += 2 << 20 }), [/its header does not lie before its data/])
  t.match(refusals(text, w => { for (const v of w.volumes) if (v.name === '/safe') v.on = '../x'; container({ name: '../x' })(w) }), [/no name of an unlocked container/])
  t.same(refusals(text, container({ type: 'PLAIN' })), [], 'what has no header is not kept')
})
