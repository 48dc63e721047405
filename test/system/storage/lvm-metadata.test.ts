/** The metadata of planned groups, written to loop disks by LVM's own tools and read back by them. The host has no device mapper: nothing is activated here. */
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { listVolumeGroups } from '../../../src/command/lvm.ts'
import { makePhysicalVolume, readPhysicalVolume, restoreGroup } from '../../../src/command/lvm-make.ts'
import type { Runner } from '../../../src/command/runner.ts'
import type { PlannedVolumeGroup } from '../../../src/domain/replica.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { groupName, lvmMetadata, whyGroupNotMade, type GroupIdentity } from '../../../src/storage/lvm-metadata.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const real = new ExecaRunner()
const signal = AbortSignal.timeout(120_000)

/** LVM without the kernel's device mapper; reports see these devices only, as those of a source see its own. */
function withoutMapper(devices: readonly string[]): Runner {
  return { run: async (tool, args, o) => {
    const seen = ['vgs', 'pvs', 'lvs'].includes(tool) && !args.includes('--devices') ? ['--devices', devices.join(',')] : []
    return real.run(tool, ['--driverloaded', 'n', ...seen, ...args], o)
  } }
}

/** The group of a source described in test/unit/replica/source-text.ts. */
function planned(text: string, jobId = 'job-1'): PlannedVolumeGroup {
  const { workload, layout } = readSource('lvm-test', `os debian 12 "Debian" bios grub2 initramfs-tools\n${text}`)
  const [group] = planReplica({ jobId, workload, options: options({ layout }), places: places() }).volumeGroups ?? []
  if (group === undefined) throw new Error('no group was planned')
  return group
}

async function restore(runner: Runner, directory: string, group: PlannedVolumeGroup, identity: GroupIdentity, devices: readonly string[]): Promise<string> {
  const file = join(directory, `${identity}-${basename(devices[0] ?? '')}.cfg`)
  writeFileSync(file, lvmMetadata(group, identity, devices))
  if (identity === 'temporary') for (const [i, p] of group.physicalVolumes.entries()) await makePhysicalVolume(runner, devices[i] ?? '', p.uuid, file, signal)
  await restoreGroup(runner, groupName(group, identity), file, devices, signal)
  return file
}

t.test('a group comes out as it was planned: identifiers, tags, stripes, several segments', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([200 * MIB, 200 * MIB, 200 * MIB])
  const runner = withoutMapper(disks.devices)
  const group = planned([
    'disk vda 200M none', 'disk vdb 200M none', 'disk vdc 200M none', 'vg my-vg vda,vdb,vdc extent=1M start=192K tags=oracle,site/a', 'lv my-vg/root 300M linear on=vda', 'lv my-vg/fast 120M striped stripes=3,64K tags=quick',
    'lv my-vg/swap_1 16M', 'fs / my-vg/root ext4:2016', 'fs /fast my-vg/fast xfs:rhel9', 'swap my-vg/swap_1', '',
  ].join('\n'))
  t.equal(whyGroupNotMade(group), undefined)
  await restore(runner, disks.directory, group, 'temporary', disks.devices)
  for (const [i, p] of group.physicalVolumes.entries()) t.same(await readPhysicalVolume(runner, disks.devices[i] ?? '', signal), { uuid: p.uuid, groupUuid: group.temporaryUuid, groupName: 'm_job-1_my-vg' })
  await restore(runner, disks.directory, group, 'final', disks.devices)

  const [found, ...rest] = await listVolumeGroups(runner, signal)
  t.same(rest, [])
  t.match(found, { name: 'my-vg', uuid: group.uuid, extentSizeBytes: MIB, tags: ['oracle', 'site/a'], partial: false })
  t.same(found?.physicalVolumes.map(p => [p.uuid, p.dataStartBytes, p.extents]).sort(), group.physicalVolumes.map(p => [p.uuid, p.dataStartBytes, p.extents]).sort())
  const device = (i: number): string => disks.devices[i] ?? ''
  t.same(found?.logicalVolumes.map(v => [v.name, v.uuid, v.tags, v.segments.map(s => [s.type, s.extents, s.stripeSizeBytes, s.on])]), group.logicalVolumes.map(v =>
    [v.name, v.uuid, v.tags, v.segments.map(s => [s.areas.length === 1 ? 'linear' : 'striped', s.extents, s.stripeSizeBytes, s.areas.map(a => device(a.physicalVolume))])]))
  t.ok((found?.logicalVolumes.find(v => v.name === 'root')?.segments.length ?? 0) > 1, 'one of them does not fit a single disk')
})

t.test('two clones are made side by side with identifiers of their own, and get the same ones at the end', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([100 * MIB, 100 * MIB])
  const runner = withoutMapper(disks.devices)
  const text = 'disk vda 100M none\nvg ubuntu-vg vda\nlv ubuntu-vg/root 40M\nfs / ubuntu-vg/root ext4:2016\n'
  const clones = [planned(text, 'job-1'), planned(text, 'job-2')]
  const ids = (g: PlannedVolumeGroup): string[] => [g.temporaryName, g.temporaryUuid, ...g.logicalVolumes.map(v => v.temporaryUuid)]
  t.same(clones.flatMap(ids).filter((id, i, all) => all.indexOf(id) !== i), [], 'nothing by which the kernel knows them is the same')
  for (const identity of ['temporary', 'final'] as const) for (const [i, group] of clones.entries()) await restore(runner, disks.directory, group, identity, [disks.devices[i] ?? ''])
  for (const device of disks.devices) t.match(await readPhysicalVolume(runner, device, signal), { uuid: clones[0]?.physicalVolumes[0]?.uuid, groupName: 'ubuntu-vg', groupUuid: clones[0]?.uuid })
})

t.test('a disk without a physical volume is none', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([100 * MIB])
  t.equal(await readPhysicalVolume(withoutMapper(disks.devices), disks.devices[0] ?? '', signal), undefined)
})

t.test('what LVM would not take is told before, and never gets into the text', async t => {
  const group = planned('disk vda 100M none\nvg v vda\nlv v/root 40M\nfs / v/root ext4:2016\n')
  const odd: Partial<PlannedVolumeGroup>[] = [
    { name: 'a b' }, { name: '..' }, { name: '-x' }, { uuid: 'short' }, { tags: ['a"] } evil {'] }, { extentSizeBytes: 1000 }, { physicalVolumes: [] },
    { physicalVolumes: group.physicalVolumes.map(p => ({ ...p, dataStartBytes: 4096 })) }, { logicalVolumes: group.logicalVolumes.map(v => ({ ...v, extents: v.extents + 1 })) },
  ]
  for (const change of odd) t.type(whyGroupNotMade({ ...group, ...change }), 'string', JSON.stringify(change))
  const text = lvmMetadata({ ...group, name: 'x { }', tags: ['a"] } evil {'], uuid: '"\n' }, 'final', ['/dev/"\n}'])
  t.notMatch(text, /evil \{|x \{ \}/)
  t.equal(text.split('\n').filter(line => line === '}').length, text.split('\n').filter(line => line.endsWith('{')).length)
})
