import t from 'tap'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

/** What is told to hold nothing known. */
function toldOf(lines: readonly string[]): [string, string][] {
  const { workload, layout } = readSource('unknown', ['os debian 12 "Debian" bios grub2 initramfs-tools', ...lines, ''].join('\n'))
  return planReplica({ jobId: 'j', workload, options: options({ layout }), places: places() }).differences.filter(d => d.code === 'CONTENT_UNKNOWN').map(d => [d.subject, d.message])
}

const ROOT = ['disk vda 4G gpt', 'part 1 1M 1M bios', 'part 2 2M 3G linux', 'fs / vda2 ext4:2016']
const subjects = (...lines: string[]): string[] => toldOf([...ROOT, ...lines]).map(([subject]) => subject)

t.test('a logical volume, a partition and a disk without a file system are told with their sizes', async t => {
  t.same(toldOf([...ROOT, 'part 3 3074M 100M linux', 'disk vdb 1G none', 'disk vdc 1G none', 'vg v vdb', 'lv v/raw 500M', 'disk vdd 1G dos', 'part 1 1M 100M 83']), [
    ['v/raw', 'Logical volume v/raw (524288000 bytes) is not migrated: no file system was found on it.'], ['vda3', 'Partition vda3 (104857600 bytes) stays empty: no file system was found on it.'],
    ['vdd1', 'Partition vdd1 (104857600 bytes) is not migrated: no file system was found on it.'], ['vdc', 'Disk vdc (1073741824 bytes) is not migrated: no file system was found on it.'],
  ])
  t.same(toldOf([...ROOT, 'part 3 3074M 100M linux', 'option disks per-volume']).map(([, message]) => message), ['Partition vda3 (104857600 bytes) is not migrated: no file system was found on it.'])
})

t.test('what is only a part, what is filled otherwise and what is told as a volume is not told', async t => {
  t.same(subjects(), [], 'where the boot loader lies')
  t.same(subjects('disk vdb 2G dos', 'part 1 1M 100M 82', 'part 2 101M 1G 05', 'part 5 102M 900M 83', 'swap vdb1', 'fs - vdb5 ext4:2016'), [], 'swap, an extended partition, a volume that is left out')
  t.same(subjects('disk vdb 1G none', 'vg v vdb', 'lv v/pool 400M thin-pool', 'lv v/data 300M thin pool=pool', 'lv v/fast 100M cache-pool', 'fs /srv v/data ext4:2016'), [], 'pools')
  t.same(subjects('disk vdb 1G none', 'vg lower vdb', 'lv lower/pv 500M', 'vg upper lower/pv', 'lv upper/data 300M', 'fs /srv upper/data ext4:2016'), [], 'a volume group in a logical volume')
  t.same(subjects('disk vdb 1G none', 'vg v vdb', 'lv v/secret 500M', 'luks secret v/secret LUKS2', 'fs /srv secret ext4:2016'), [], 'a container in a logical volume')
  t.same(subjects('disk vdb 1G dos', 'part 1 1M 900M fd', 'disk vdc 1G dos', 'part 1 1M 900M fd', 'raid md0 raid1 900M vdb1,vdc1', 'fs /srv md0 ext4:2016'), [], 'members of an array')
})

t.test('a container, an array and a thin pool in which nothing is known are told by what they lie on', async t => {
  t.same(subjects('disk vdb 1G none', 'vg v vdb', 'lv v/secret 500M', 'luks secret v/secret LUKS2'), ['v/secret'])
  t.same(subjects('disk vdb 1G dos', 'part 1 1M 900M fd', 'disk vdc 1G dos', 'part 1 1M 900M fd', 'raid md0 raid1 900M vdb1,vdc1'), ['vdb1'])
  t.same(subjects('disk vdb 1G none', 'vg v vdb', 'lv v/docker 400M thin-pool'), ['v/docker'])
})

t.test('layers that name each other in a circle end', async t => {
  t.same(subjects('part 3 3074M 100M linux', 'luks a vda3 LUKS2', 'luks b vda3 LUKS2'), ['vda3'])
  const { workload } = readSource('circle', ['os debian 12 "Debian" bios grub2 initramfs-tools', ...ROOT, 'part 3 3074M 100M linux', 'luks a vda3 LUKS2', ''].join('\n'))
  for (const e of workload.layers?.encryptions ?? []) e.name = e.on
  t.same(planReplica({ jobId: 'j', workload, options: options(), places: places() }).differences.filter(d => d.code === 'CONTENT_UNKNOWN').map(d => d.subject), ['vda3'])
})
