/** The metadata of planned groups, written to loop disks by LVM's own tools and read back by them. The host has no device mapper: nothing is activated here. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/clock/clock.ts'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { listVolumeGroups } from '../../../src/command/lvm.ts'
import { makePhysicalVolume, readPhysicalVolume, restoreGroup } from '../../../src/command/lvm-make.ts'
import type { Runner } from '../../../src/command/runner.ts'
import { readPartitionTable } from '../../../src/command/sfdisk.ts'
import type { PlannedVolumeGroup, ReplicaPlan } from '../../../src/domain/replica.ts'
import type { Partition } from '../../../src/domain/volume.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { groupName, lvmMetadata, whyGroupNotMade, type GroupIdentity } from '../../../src/storage/lvm-metadata.ts'
import { handOverGroups } from '../../../src/storage/volume-groups.ts'
import { placedGroups } from '../../../src/storage/volume-stack.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { GROUP_OBLIGATIONS, releaseGroup } from '../../contract/volume-group.contract.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const real = new ExecaRunner()
const signal = AbortSignal.timeout(120_000)

const LVM_TOOLS = new Set(['vgs', 'pvs', 'lvs', 'pvcreate', 'vgcfgrestore', 'vgchange'])

/** LVM without the kernel's device mapper; reports see these devices only, as those of a source see its own. */
function withoutMapper(devices: readonly string[]): Runner {
  return { run: async (tool, args, o) => {
    const seen = ['vgs', 'pvs', 'lvs'].includes(tool) && !args.includes('--devices') ? ['--devices', devices.join(',')] : []
    return real.run(tool, LVM_TOOLS.has(tool) ? ['--driverloaded', 'n', ...seen, ...args] : args, o)
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
  if (identity === 'temporary') for (const [i, p] of group.physicalVolumes.entries()) if (await readPhysicalVolume(runner, devices[i] ?? '', signal) === undefined) await makePhysicalVolume(runner, devices[i] ?? '', p.uuid, file, signal)
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

/** Identifiers mean the same in either case. */
function comparable(p: Partition): Partition {
  return { ...p, uuid: p.uuid.toLowerCase(), type: p.type.toLowerCase() }
}

/** Makes the disks of a described source, whole, and its groups on them as LVM's tools take them; what they say then is compared with the plan. */
async function makeOnDisks(t: Test, name: string, text: string): Promise<ReplicaPlan> {
  const { workload, layout } = readSource(name, text)
  const plan = planReplica({ jobId: 'job-1', workload, options: options({ layout }), places: places() })
  if (plan.volumeGroups?.some(g => g.physicalVolumes.some(p => p.encryption !== undefined)) === true) return plan
  using disks = makeLoopDisks(plan.disks.map(d => d.sizeBytes))
  const stateDirectory = join(disks.directory, 'state')
  const stack = new LinuxVolumeStack({ runner: real, stateDirectory })
  for (const [i, disk] of plan.disks.entries()) {
    await stack.partition(disks.devices[i] ?? '', disk, signal)
    if (disk.table === 'none') continue
    const { table, tableId, partitions } = await readPartitionTable(real, disks.devices[i] ?? '', signal)
    t.same({ table, tableId: tableId.toLowerCase(), partitions: partitions.map(comparable) }, { table: disk.table, tableId: disk.tableId.toLowerCase(), partitions: disk.partitions.map(comparable) }, `${name}: ${disk.path}`)
  }
  for (const placed of placedGroups(plan, disks.devices)) {
    const { group, devices } = placed
    const runner = withoutMapper(devices)
    await restore(runner, disks.directory, group, 'temporary', devices)
    await handOverGroups({ runner, clock: systemClock, stateDirectory }, [placed], signal)
    const [found] = await listVolumeGroups(runner, signal)
    t.match(found, { name: group.name, uuid: group.uuid, extentSizeBytes: group.extentSizeBytes, partial: false }, name)
    t.same(found?.physicalVolumes.map(p => [p.uuid, p.extents, p.on]).sort(), group.physicalVolumes.map((p, i) => [p.uuid, p.extents, devices[i]]).sort(), name)
    t.same(found?.logicalVolumes.map(v => [v.uuid, v.segments.reduce((sum, s) => sum + s.extents, 0)]), group.logicalVolumes.map(v => [v.uuid, v.extents]), name)
  }
  return plan
}

/** One of each kind: a disk for each volume, stripes over whole disks, a pool and volumes that were RAID made plain, an array below, logical partitions, other sizes. */
const DESCRIBED = ['alma-9-one-disk-per-volume', 'alma-9-striped-group-on-three-disks', 'centos-7-thin-pool-made-smaller', 'rocky-8-raid-and-cache-volumes', 'rhel-9-raid1-of-two-disks', 'rhel-5-lvm-ext3', 'debian-12-per-volume-with-logical-partitions', 'ubuntu-24.04-group-made-larger']

t.test('the groups of described sources fit the disks that are planned for them', { skip: noLoopDisks() }, async t => {
  for (const name of DESCRIBED) await makeOnDisks(t, name, readFileSync(join(import.meta.dirname, '../../../fixtures/layout', name, 'source.txt'), 'utf8'))
})

t.test('a group has the size and the largest disks that were asked for', { skip: noLoopDisks() }, async t => {
  const text = 'os debian 12 "Debian" bios grub2 initramfs-tools\ndisk vda 600M dos\npart 1 1M 50M 83 boot\npart 2 51M 500M 8e\nvg v vda2 extent=1M\nlv v/root 300M\nfs /boot vda1 ext4:2016\nfs / v/root ext4:2016\n'
  const groupOf = async (more: string): Promise<PlannedVolumeGroup | undefined> => (await makeOnDisks(t, 'sizes', `${text}${more}`)).volumeGroups?.[0]
  const larger = await groupOf('option group v size 800M\n')
  t.same(larger?.physicalVolumes.map(p => p.extents), [800])
  const split = await groupOf('option disks per-volume\noption group v size 800M\noption group v max 210M\n')
  t.equal(split?.physicalVolumes.reduce((sum, p) => sum + p.extents, 0), 800)
  t.ok((split?.physicalVolumes.length ?? 0) >= 4 && split?.physicalVolumes.every(p => p.sizeBytes <= 210 * MIB), JSON.stringify(split?.physicalVolumes.map(p => p.sizeBytes)))
})

t.test('a logical volume that is only read and stays inactive is so when it is handed over, not before', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([100 * MIB])
  const runner = withoutMapper(disks.devices)
  const group = planned('disk vda 100M none\nvg v vda\nlv v/root 40M\nlv v/archive 40M attr=rk\nfs / v/root ext4:2016\nfs /archive v/archive ext4:2016\n')
  const flags = async (): Promise<unknown> => (await listVolumeGroups(runner, signal))[0]?.logicalVolumes.map(v => [v.name, v.readOnly, v.activationSkip])
  await restore(runner, disks.directory, group, 'temporary', disks.devices)
  t.same(await flags(), [['archive', undefined, undefined], ['root', undefined, undefined]])
  await restore(runner, disks.directory, group, 'final', disks.devices)
  t.same(await flags(), [['archive', true, true], ['root', undefined, undefined]])
})

t.test('a handing over that broke off between two disks goes on, and so does the way back', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([100 * MIB, 100 * MIB])
  const { devices, directory } = disks
  const runner = withoutMapper(devices)
  const group = planned('disk vda 100M none\ndisk vdb 100M none\nvg v vda,vdb\nlv v/root 150M\nfs / v/root ext4:2016\n')
  const names = async (): Promise<(string | undefined)[]> => await Promise.all(devices.map(async device => (await readPhysicalVolume(runner, device, signal))?.groupName))
  const label = async (device: string, bytes?: Buffer): Promise<Buffer> => {
    await using handle = await open(device, 'r+')
    const before = Buffer.alloc(MIB)
    await handle.read(before, 0, MIB, 0)
    if (bytes !== undefined) await handle.write(bytes, 0, MIB, 0)
    await handle.sync()
    return before
  }
  await restore(runner, directory, group, 'temporary', devices)
  const temporary = await label(devices[0] ?? '')
  const handOver = async (): Promise<void> => { await handOverGroups({ runner, clock: systemClock, stateDirectory: directory }, [{ group, devices }], signal) }
  await handOver()
  t.same(await names(), ['v', 'v'])
  await label(devices[0] ?? '', temporary)
  t.same(await names(), ['m_job-1_v', 'v'], 'the power was cut between the two')
  await handOver()
  t.same(await names(), ['v', 'v'])
  const [found] = await listVolumeGroups(runner, signal)
  t.match(found, { name: 'v', partial: false })
  await label(devices[0] ?? '', temporary)
  await restore(runner, directory, group, 'temporary', devices)
  t.same(await names(), ['m_job-1_v', 'm_job-1_v'])
})

for (const { name, check } of GROUP_OBLIGATIONS.filter(o => !o.shows)) {
  t.test(`VolumeStack contract, volume groups: linux on loop devices: ${name}`, { skip: noLoopDisks() }, async () => {
    using disks = makeLoopDisks([64 * MIB, 64 * MIB])
    const [first = '', second = ''] = disks.devices
    const opened = {
      stack: new LinuxVolumeStack({ runner: withoutMapper(disks.devices), stateDirectory: join(disks.directory, 'state') }), devices: [first, second] as const,
      scribble: (device: string): void => { execFileSync('dd', ['if=/dev/urandom', `of=${device}`, 'bs=4096', 'count=1', 'seek=100', 'conv=fsync', 'status=none']) },
    }
    await check(opened)
    await releaseGroup(opened)
  })
}

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
