import { join } from 'node:path'
import t from 'tap'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'
import { attributeBits, partitionNumber, readPartitionTable } from '../../../src/command/sfdisk.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)
const replay = async (name: string): Promise<ScriptedRunner> => ScriptedRunner.open(FIXTURES, [`sfdisk/${name}`])

t.test('an MBR comes with its signature, boot flag and the UUIDs that follow from it', async t => {
  t.same(await readPartitionTable(await replay('mbr'), '/dev/loop0', signal), {
    table: 'dos', tableId: '0x1badcafe', sectorSizeBytes: 512, partitions: [
      { number: 1, startBytes: 1048576, sizeBytes: 314572800, type: '83', uuid: '1badcafe-01', name: '', bootable: true },
      { number: 2, startBytes: 315621376, sizeBytes: 67108864, type: '82', uuid: '1badcafe-02', name: '', bootable: false },
      { number: 3, startBytes: 382730240, sizeBytes: 351272960, type: '83', uuid: '1badcafe-03', name: '', bootable: false },
    ],
  })
})

t.test('a GPT comes with its GUIDs, names and the legacy boot attribute', async t => {
  const found = await readPartitionTable(await replay('gpt'), '/dev/loop1', signal)
  t.equal(found.tableId, 'AAAAAAAA-1111-4222-8333-BBBBBBBBBBBB')
  t.match(found.partitions[1], { type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', uuid: '00000000-0000-4000-8000-000000000002', name: 'EFI sys', bootable: false })
  t.match(found.partitions[2], { bootable: true })
})

t.test('a disk without a table is TOOL_FAILED', async t => {
  await t.rejects(readPartitionTable(await replay('whole-disk-file-system'), '/dev/loop2', signal), { code: 'TOOL_FAILED' })
})

t.test('another kind of table is TOOL_OUTPUT', async t => {
  const runner = new ScriptedRunner([{ tool: 'sfdisk', args: ['--json', '/dev/sda'], stdout: '{"partitiontable":{"label":"sun","id":"","unit":"sectors"}}' }])
  await t.rejects(readPartitionTable(runner, '/dev/sda', signal), { code: 'TOOL_OUTPUT' })
})

t.test('the number of a partition follows from its name', async t => {
  t.equal(partitionNumber('/dev/sda', '/dev/sda12'), 12)
  t.equal(partitionNumber('nvme0n1', 'nvme0n1p3'), 3)
  t.equal(partitionNumber('nvme0n1', 'nvme0n12'), 0)
  t.equal(partitionNumber('sda', 'sdap1'), 0)
  t.equal(partitionNumber('sda', 'sdb1'), 0)
  t.equal(partitionNumber('sda', 'sda'), 0)
})

t.test('attributes of a GPT are compared by their bits, however they are written', async t => {
  t.same(attributeBits({ attributes: 'RequiredPartition GUID:60,63', bootable: false }), [0, 60, 63])
  t.same(attributeBits({ attributes: 'GUID:63 GUID:60 NoBlockIOProtocol', bootable: true }), [1, 2, 60, 63])
  t.same(attributeBits({ bootable: false }), [])
  for (const attributes of ['GUID:47', 'GUID:64', 'Other', 'GUID:60" type=x']) t.throws(() => attributeBits({ attributes, bootable: false }), { code: 'VOLUME_LAYOUT' }, attributes)
})
