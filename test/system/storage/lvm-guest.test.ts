/** Two clones' volume groups at once in one kernel, with everything that LVM does about them: for real, in a guest, because the host has no device mapper. */
import t from 'tap'
import { activateGroup, deactivateGroup, makePhysicalVolume, restoreGroup } from '../../../src/command/lvm-make.ts'
import type { Runner } from '../../../src/command/runner.ts'
import type { PlannedVolumeGroup } from '../../../src/domain/replica.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { groupName, lvmMetadata, type GroupIdentity } from '../../../src/storage/lvm-metadata.ts'
import { noLoopDisks } from '../../contract/loop-disks.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'
import { runInSmallGuest } from '../../zoo/small-guest.ts'

const MIB = 1 << 20
const signal = AbortSignal.timeout(600_000)
const SOURCE = [
  'os debian 12 "Debian" bios grub2 initramfs-tools', 'disk vda 100M none', 'disk vdb 100M none', 'vg my-vg vda,vdb extent=1M start=192K tags=oracle',
  'lv my-vg/root 120M linear on=vda', 'lv my-vg/fast 40M striped stripes=2,64K', 'fs / my-vg/root ext4:2016', 'fs /fast my-vg/fast ext4:2016', '',
].join('\n')

/** Writes down the commands of the wrappers for the guest's shell; each tells its exit code. */
class Script implements Runner {
  readonly lines: string[] = []

  async run(tool: string, args: readonly string[]): ReturnType<Runner['run']> {
    this.lines.push(`lvm ${[tool, ...args].map(word => `'${word.replaceAll('\'', '\'\\\'\'')}'`).join(' ')}`, `echo "@ ${tool} $?"`)
    return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
  }

  shell(...lines: readonly string[]): void {
    this.lines.push(...lines)
  }
}

t.test('two groups with the same names and identifiers live side by side and end as their source is', { skip: noLoopDisks(), timeout: 600_000 }, async t => {
  const clones = [{ jobId: 'job1', devices: ['/dev/vda', '/dev/vdb'] }, { jobId: 'job2', devices: ['/dev/vdc', '/dev/vdd'] }].map(({ jobId, devices }) => {
    const { workload, layout } = readSource('clone', SOURCE)
    const [group] = planReplica({ jobId, workload, options: options({ layout }), places: places() }).volumeGroups ?? []
    if (group === undefined) throw new Error('no group was planned')
    return { group, devices, file: (identity: GroupIdentity): string => `${jobId}-${identity}.cfg` }
  })
  const s = new Script()
  for (const { group, devices, file } of clones) {
    for (const [i, p] of group.physicalVolumes.entries()) await makePhysicalVolume(s, devices[i] ?? '', p.uuid, `/${file('temporary')}`, signal)
    await restoreGroup(s, group.temporaryName, `/${file('temporary')}`, devices, signal)
    await activateGroup(s, group.temporaryName, devices, signal)
  }
  for (const [i, { group }] of clones.entries()) {
    for (const { name } of group.logicalVolumes) {
      const device = `/dev/${group.temporaryName}/${name}`
      s.shell(`mke2fs -q -F -t ext4 ${device} && mkdir -p /m${String(i)}/${name} && mount -t ext4 ${device} /m${String(i)}/${name} && echo "clone ${String(i)} ${name}" > /m${String(i)}/${name}/own; echo "@ made $?"`)
    }
  }
  const [first] = clones
  if (first === undefined) throw new Error('no clone')
  await deactivateGroup(s, first.group.temporaryName, first.devices, signal) // in use: refused
  s.shell('umount /m0/root /m0/fast /m1/root /m1/fast')
  for (const [i, { group, devices, file }] of clones.entries()) {
    await deactivateGroup(s, group.temporaryName, devices, signal)
    await restoreGroup(s, groupName(group, 'final'), `/${file('final')}`, devices, signal)
    // as the replica will see its disks: without the other's
    await activateGroup(s, group.name, devices, signal)
    for (const { name } of group.logicalVolumes) {
      s.shell(`e2fsck -fn /dev/my-vg/${name} > /dev/null 2>&1; echo "@ fsck $?"; mount -t ext4 -o ro /dev/my-vg/${name} /m0/${name}; echo "@ read $(cat /m0/${name}/own)"; umount /m0/${name}`)
    }
    s.shell(`lvm vgck --devices ${devices.join(',')} my-vg; echo "@ vgck $?"`, `lvm lvs --devices ${devices.join(',')} --noheadings --separator ' ' -o vg_uuid,lv_name,lv_uuid,vg_tags | while read line; do echo "@ clone ${String(i)} $line"; done`)
    await deactivateGroup(s, group.name, devices, signal)
  }

  const output = await runInSmallGuest({
    programs: ['lvm', 'mke2fs', 'e2fsck'], modules: ['dm-mod', 'ext4', 'crc32c_generic'], diskSizesBytes: [100, 100, 100, 100].map(n => n * MIB), timeoutMs: 240_000, script: `${s.lines.join('\n')}\n`,
    files: {
      'etc/lvm/lvm.conf': 'activation { udev_sync=0 udev_rules=0 }\n', // no udev there: LVM makes the nodes itself
      ...Object.fromEntries(clones.flatMap(({ group, devices, file }) => (['temporary', 'final'] as const).map(identity => [file(identity), lvmMetadata(group, identity, devices)]))),
    },
  }, signal)
  const told = output.split('\n').filter(line => line.startsWith('@ ')).map(line => line.slice(2))
  const made = ['pvcreate 0', 'pvcreate 0', 'vgcfgrestore 0', 'vgchange 0']
  const handedOver = (i: number, { group }: { group: PlannedVolumeGroup }): string[] => [
    'vgchange 0', 'vgcfgrestore 0', 'vgchange 0', ...group.logicalVolumes.flatMap(({ name }) => ['fsck 0', `read clone ${String(i)} ${name}`]), 'vgck 0',
    ...group.logicalVolumes.map(v => `clone ${String(i)} ${group.uuid} ${v.name} ${v.uuid} oracle`), 'vgchange 0',
  ]
  t.same(told, [...made, ...made, 'made 0', 'made 0', 'made 0', 'made 0', 'vgchange 5', ...clones.flatMap((clone, i) => handedOver(i, clone))])
  if (!t.passing()) t.comment(output)
})
