import t from 'tap'
import type { PlanDifference } from '../../../src/domain/plan-difference.ts'
import { remadeDifferences } from '../../../src/replica/layer-differences.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { ext4, GIB, options, places, volume, xfs } from './workloads.ts'

function differences(lines: readonly string[]): PlanDifference[] {
  const { workload, layout } = readSource('lost', ['os debian 12 "Debian" uefi grub2 initramfs-tools', ...lines, ''].join('\n'))
  return planReplica({ jobId: 'j', workload, options: options({ layout }), places: places() }).differences
}

t.test('file systems that are aligned to stripes are told not to be', async t => {
  const told = (properties: Record<string, string>, made = ext4('u', GIB)): PlanDifference[] => {
    const source = volume('vda', 1, '/srv', { ...made, properties: { ...made.properties, ...properties } }, GIB)
    return remadeDifferences(source, source.fileSystem)
  }
  t.same(told({ raidStride: '16', raidStripeWidth: '64' }), [{ code: 'EXT_STRIPE_DROPPED', subject: '/srv', message: 'The ext4 of /srv is not aligned to the stripes of the source\'s disks (stride 16, stripe width 64).' }])
  t.same(told({}), [])
  t.match(told({ sunit: '16' }, xfs('u', GIB)), [{ code: 'XFS_STRIPE_DROPPED' }])
  t.same(told({ sunit: '0' }, xfs('u', GIB)), [])
})

t.test('a FAT of 16 bits that gets another size has 32, and that is told', async t => {
  const disk = ['disk vda 8G gpt', 'part 1 1M 100M esp', 'part 2 101M 7G linux', 'fs /boot/efi vda1 vfat16 used=1M', 'fs / vda2 ext4:2016 used=1G']
  t.same(differences(disk).filter(d => d.code === 'FAT_BITS'), [])
  t.same(differences([...disk, 'option size /boot/efi 200M']).filter(d => d.code === 'FAT_BITS'), [{ code: 'FAT_BITS', subject: '/boot/efi', message: 'The FAT of /boot/efi has 32 bits instead of 16.' }])
})

t.test('a logical volume that becomes plain takes the bytes that are planned for it', async t => {
  const lines = ['disk vda 8G gpt', 'part 1 1M 7G lvm', 'vg v vda1', 'lv v/pool 4G thin-pool', 'lv v/root 6G thin pool=pool', 'fs / v/root ext4:2016 used=1G']
  const taken = (more: readonly string[]): string | undefined => /takes all of its (\d+) bytes/.exec(differences([...lines, ...more]).find(d => d.code === 'THIN_FLATTENED')?.message ?? '')?.[1]
  t.equal(taken([]), String(6 * GIB))
  t.equal(taken(['option size / 2G']), String(2 * GIB))
})

t.test('with a disk per volume, identifiers that a disk and a partition lose are told', async t => {
  const found = differences([
    'disk vda 20G gpt', 'part 1 1M 100M esp', 'part 2 101M 4G linux', 'part 3 4198M 4G lvm', 'vg v vda3', 'lv v/data 3G', 'fs /boot/efi vda1 vfat32 used=1M', 'fs / vda2 ext4:2016 used=1G', 'fs /srv v/data ext4:2016 used=1G', 'option disks per-volume',
  ])
  t.same(found.filter(d => d.code === 'DISK_IDENTITY').map(d => d.subject), ['/'], 'the first disk has that of the source, a whole one has none')
  t.match(found.filter(d => d.code === 'PARTITION_IDENTITY'), [{ subject: 'v', message: /^vda3 \(PARTUUID [0-9A-F-]+\) is no partition: the physical volume on it has a whole disk\.$/ }])
})

t.test('a group that gets fewer physical volumes loses partitions, and that is told', async t => {
  const found = differences([
    'disk vda 8G gpt', 'part 1 1M 100M esp', 'part 2 101M 4G lvm', 'disk vdb 4G gpt', 'part 1 1M 3G lvm', 'vg v vda2,vdb1', 'lv v/root 3G', 'fs /boot/efi vda1 vfat32 used=1M', 'fs / v/root ext4:2016 used=1G', 'option disks per-volume',
  ])
  t.same(found.filter(d => d.code === 'PARTITION_IDENTITY').map(d => [d.subject, d.message.replace(/\(.*\)/, '')]), [
    ['v', 'vda2  is no partition: the physical volume on it has a whole disk.'], ['v', 'vdb1  is not on the replica: volume group v lies on fewer physical volumes.'],
  ])
})

t.test('subvolumes that no mount shows are told, a few by name', async t => {
  const told = (paths: readonly string[]): string[] => differences(['disk vda 8G gpt', 'part 1 1M 100M esp', 'part 2 101M 7G linux', `subvolumes vda2 @,${paths.join(',')}`, 'fs /boot/efi vda1 vfat32 used=1M', 'fs / vda2 btrfs:2022 subvol=@ used=1G'])
    .filter(d => d.code === 'SUBVOLUMES_LEFT_OUT').map(d => d.message)
  t.same(told(['@/nested']), [])
  t.same(told(['@old', '@old/nested']), ['Subvolumes of /dev/vda2 are not mounted, their files are not copied: @old.'])
  t.match(told(Array.from({ length: 13 }, (_, i) => `s${String(i)}`)), [/: s0, s1, .*, s6 and 3 more\.$/])
})
