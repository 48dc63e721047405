/** Partition tables as a source has them come out the same on the replica's disks. Written and read by sfdisk. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ExecaRunner } from '../../../src/command/execa-runner.ts'
import { readPartitionTable } from '../../../src/command/sfdisk.ts'
import type { PlannedDisk } from '../../../src/domain/replica.ts'
import type { Partition } from '../../../src/domain/volume.ts'
import { planReplica } from '../../../src/replica/plan.ts'
import { LinuxVolumeStack } from '../../../src/storage/linux-volume-stack.ts'
import { makeLoopDisks, noLoopDisks } from '../../contract/loop-disks.ts'
import { readSource } from '../../unit/replica/source-text.ts'
import { options, places } from '../../unit/replica/workloads.ts'

const MIB = 1 << 20
const LAYOUTS = join(import.meta.dirname, '../../../fixtures/layout')
/** MBR types of extended partitions. */
const EXTENDED = ['05', '0f', '85']
const runner = new ExecaRunner()
const signal = AbortSignal.timeout(300_000)

const LINUX = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
const TABLE = `label: gpt
label-id: AAAAAAAA-1111-4222-8333-BBBBBBBBBBBB
start=2048, size=8192, type=${LINUX}, uuid=00000000-0000-4000-8000-000000000001, name="a, \\x22b\\x22", attrs="RequiredPartition GUID:60,63"
start=10240, size=8192, type=${LINUX}, uuid=00000000-0000-4000-8000-000000000002, attrs="GUID:48,49,50"
start=18432, size=8192, type=${LINUX}, uuid=00000000-0000-4000-8000-000000000003, attrs="RequiredPartition NoBlockIOProtocol LegacyBIOSBootable GUID:63"
start=26624, size=8192, type=${LINUX}, uuid=00000000-0000-4000-8000-000000000004
`

/** What sfdisk itself says, without the names of the devices. */
function dump(device: string): string {
  return execFileSync('sfdisk', ['--dump', device], { encoding: 'utf8' }).replaceAll(device, 'disk')
}

t.test('a GPT with several attributes of one partition is made again exactly, and another set of them is noticed', { skip: noLoopDisks() }, async t => {
  using disks = makeLoopDisks([40 * MIB, 40 * MIB])
  const [source = '', replica = ''] = disks.devices
  execFileSync('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', source], { input: TABLE })
  const { tableId, partitions } = await readPartitionTable(runner, source, signal)
  t.same(partitions.map(p => p.attributes), ['RequiredPartition GUID:60,63', 'GUID:48,49,50', 'RequiredPartition NoBlockIOProtocol LegacyBIOSBootable GUID:63', undefined])
  const disk: PlannedDisk = { sourceDisk: 'sda', path: '[store] replica/replica.vmdk', sizeBytes: 40 * MIB, format: 'thin', table: 'gpt', tableId, partitions }
  const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state') })
  await stack.partition(replica, disk, signal)
  t.equal(dump(replica), dump(source))
  await stack.partition(replica, disk, signal)
  execFileSync('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', '--part-attrs', replica, '1', 'RequiredPartition,GUID:60'])
  await t.rejects(stack.partition(replica, disk, signal), { code: 'VOLUME_LAYOUT' })
})

/** What both ways of saying the same have in common: case, and the boot flag as attribute. */
function comparable({ attributes, ...p }: Partition): unknown {
  return { ...p, uuid: p.uuid.toLowerCase(), type: p.type.toLowerCase(), attributes: (attributes ?? '').split(' ').filter(word => !['', 'LegacyBIOSBootable'].includes(word)) }
}

t.test('the disks that are planned for described sources are partitioned as planned', { skip: noLoopDisks() }, async t => {
  let logical = 0
  for (const name of readdirSync(LAYOUTS).filter(entry => entry !== 'README')) {
    const { workload, layout } = readSource(name, readFileSync(join(LAYOUTS, name, 'source.txt'), 'utf8'))
    const planned = planReplica({ jobId: 'job-1', workload, options: options({ layout }), places: places() }).disks.filter(d => d.table !== 'none')
    using disks = makeLoopDisks(planned.map(d => d.sizeBytes))
    const stack = new LinuxVolumeStack({ runner, stateDirectory: join(disks.directory, 'state') })
    for (const [i, disk] of planned.entries()) {
      const device = disks.devices[i] ?? ''
      await stack.partition(device, disk, signal)
      const { table, tableId, partitions } = await readPartitionTable(runner, device, signal)
      t.same({ table, tableId: tableId.toLowerCase(), partitions: partitions.map(comparable) }, { table: disk.table, tableId: disk.tableId.toLowerCase(), partitions: disk.partitions.map(comparable) }, `${name}: ${disk.sourceDisk}`)
      if (disk.partitions.some(p => EXTENDED.includes(p.type)) && disk.partitions.some(p => p.number > 4)) logical++
    }
  }
  t.ok(logical >= 5, 'logical partitions are among them')
})
