import t from 'tap'
import type { PlanDifference } from '../../../src/domain/plan-difference.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { GIB, options, places } from './workloads.ts'

function differences(lines: readonly string[]): PlanDifference[] {
  const { workload, layout } = readSource('lost', ['os debian 12 "Debian" uefi grub2 initramfs-tools', ...lines, ''].join('\n'))
  return planReplica({ jobId: 'j', workload, options: options({ layout }), places: places() }).differences
}

t.test('a logical volume that becomes plain takes the bytes that are planned for it', async t => {
  const lines = ['disk vda 8G gpt', 'part 1 1M 7G lvm', 'vg v vda1', 'lv v/pool 4G thin-pool', 'lv v/root 6G thin pool=pool', 'fs / v/root ext4:2016 used=1G']
  const taken = (more: readonly string[]): string | undefined => /takes all of its (\d+) bytes/.exec(differences([...lines, ...more]).find(d => d.code === 'THIN_FLATTENED')?.message ?? '')?.[1]
  t.equal(taken([]), String(6 * GIB))
  t.equal(taken(['option size / 2G']), String(2 * GIB))
})

