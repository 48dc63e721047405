import { join } from 'node:path'
import t from 'tap'
import { probeDevice } from '../../../src/command/blkid.ts'
import { ScriptedRunner } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)
const replay = async (name: string): Promise<ScriptedRunner> => ScriptedRunner.open(FIXTURES, [`blkid/${name}`])

t.test('a file system is told with its UUID, label and partition', async t => {
  t.same(await probeDevice(await replay('ext4'), '/dev/loop0p1', signal), {
    type: 'ext4', uuid: '11111111-2222-4333-8444-555555555555', label: 'rootfs', version: '1.0', partitionTable: '',
    partitionUuid: '1badcafe-01', partitionLabel: '', blockSizeBytes: 1024,
  })
})

t.test('a disk with a partition table is told by the table', async t => {
  const found = await probeDevice(await replay('disk-with-mbr'), '/dev/loop0', signal)
  t.match(found, { type: '', partitionTable: 'dos' })
})

t.test('swap is told with its version', async t => {
  t.match(await probeDevice(await replay('swap'), '/dev/loop0p2', signal), { type: 'swap', version: '1', label: 'swap0' })
})

t.test('a label with blanks, quotes, dollar and backslash arrives as it is on the disk', async t => {
  t.equal((await probeDevice(await replay('odd-label'), '/dev/loop0p2', signal)).label, 'a b$"x\'\\z')
})

t.test('a device with nothing on it is an answer, not an error', async t => {
  t.match(await probeDevice(await replay('nothing'), '/dev/loop7', signal), { type: '', uuid: '', partitionTable: '' })
})
