/** Sources as the distributions' installers leave them (fixtures/layout/<name>/source.txt), and the plan of each as people see it (plan.txt). */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { describePlan } from '../../../src/domain/describe-plan.ts'
import { ReplicaPlan } from '../../../src/domain/replica.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { readSource } from './source-text.ts'
import { options, places } from './workloads.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/layout')
const MIB = 1 << 20

function planOf(name: string): { plan: ReplicaPlan, workload: ReturnType<typeof readSource>['workload'] } {
  const { workload, layout } = readSource(name, readFileSync(join(FIXTURES, name, 'source.txt'), 'utf8'))
  return { workload, plan: ReplicaPlan.parse(planReplica({ jobId: 'job1', workload, options: options({ layout }), places: places() })) }
}

const NAMES = readdirSync(FIXTURES, { withFileTypes: true }).filter(entry => entry.isDirectory()).map(entry => entry.name)

t.ok(NAMES.length >= 25)

for (const name of NAMES) {
  t.test(`${name.replaceAll('-', ' ')}: the plan is the recorded one`, async t => {
    const text = `${describePlan(planOf(name).plan).join('\n')}\n`
    const file = join(FIXTURES, name, 'plan.txt')
    if (process.env['GOLDEN'] === 'update') writeFileSync(file, text)
    t.equal(text, readFileSync(file, 'utf8'))
  })
}

t.test('whatever the source, nothing overlaps, everything fits, and what holds files has a place', async t => {
  for (const name of NAMES) {
    const { plan, workload } = planOf(name)
    for (const disk of plan.disks) checkDisk(t, name, disk)
    for (const group of plan.volumeGroups ?? []) checkGroup(t, name, plan, group)
    for (const { volume, disk, partition, logicalVolume, encryption } of plan.volumes) {
      const planned = plan.disks[disk]
      const room = logicalVolume === undefined
        ? partition === 0 ? planned?.sizeBytes : planned?.partitions.find(p => p.number === partition)?.sizeBytes
        : plan.volumeGroups?.flatMap(g => g.logicalVolumes.filter(v => g.name === logicalVolume.group && v.name === logicalVolume.name).map(v => v.extents * g.extentSizeBytes))[0]
      t.ok((room ?? 0) >= volume.sizeBytes + (encryption === undefined ? 0 : 2 * MIB), `${name}: ${volume.name} has room`)
      t.ok(Number(volume.fileSystem.properties['blockCount'] ?? 0) * volume.fileSystem.blockSizeBytes <= volume.sizeBytes)
    }
    const told = workload.volumes.filter(v => v.fileSystem.properties['swapfile'] !== 'yes' && !plan.volumes.some(p => p.volume.name === v.name))
    for (const volume of told) t.ok(plan.differences.some(d => d.code === 'VOLUME_LEFT_OUT' && d.subject === volume.name), `${name}: ${volume.name} is told to be left out`)
  }
})

function checkDisk(t: Test, name: string, disk: ReplicaPlan['disks'][number]): void {
  t.equal(disk.sizeBytes % MIB, 0)
  const logical = disk.partitions.filter(p => !['05', '0f', '85'].includes(p.type)).toSorted((a, b) => a.startBytes - b.startBytes)
  for (const [i, p] of logical.entries()) {
    t.ok(p.startBytes >= MIB, `${name}: ${disk.sourceDisk} ${String(p.number)} leaves room before it`)
    t.ok(p.startBytes + p.sizeBytes <= (logical[i + 1]?.startBytes ?? disk.sizeBytes - (disk.table === 'gpt' ? 33 * 512 : 0)), `${name}: ${disk.sourceDisk} ${String(p.number)} ends before the next`)
  }
  const extended = disk.partitions.find(p => disk.table === 'dos' && ['05', '0f', '85'].includes(p.type))
  for (const p of disk.partitions.filter(q => disk.table === 'dos' && q.number > 4)) {
    t.ok(extended !== undefined && p.startBytes > extended.startBytes && p.startBytes + p.sizeBytes <= extended.startBytes + extended.sizeBytes, `${name}: logical partition ${String(p.number)} lies in the extended one`)
  }
}

function checkGroup(t: Test, name: string, plan: ReplicaPlan, group: NonNullable<ReplicaPlan['volumeGroups']>[number]): void {
  const taken = group.physicalVolumes.map(() => new Set<number>())
  for (const volume of group.logicalVolumes) {
    t.equal(volume.segments.reduce((sum, s) => sum + s.extents, 0), volume.extents, `${name}: ${volume.name} has all of its extents`)
    for (const { extents, areas } of volume.segments) {
      for (const { physicalVolume, startExtent } of areas) {
        for (let e = startExtent; e < startExtent + extents / areas.length; e++) {
          if (taken[physicalVolume]?.has(e) === true) t.fail(`${name}: extent ${String(e)} of ${group.name} is taken twice`)
          taken[physicalVolume]?.add(e)
        }
        t.ok(startExtent + extents / areas.length <= (group.physicalVolumes[physicalVolume]?.extents ?? 0), `${name}: ${volume.name} lies in its physical volume`)
      }
    }
  }
  for (const p of group.physicalVolumes) {
    const disk = plan.disks[p.disk]
    const room = p.partition === 0 ? disk?.sizeBytes : disk?.partitions.find(q => q.number === p.partition)?.sizeBytes
    t.ok((room ?? 0) >= p.dataStartBytes + p.extents * group.extentSizeBytes, `${name}: a physical volume of ${group.name} fits its place`)
  }
}
