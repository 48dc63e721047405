import { join } from 'node:path'
import t from 'tap'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import { describeFileSystem, type DescribedFileSystem } from '../../../src/workload/describe-file-system.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')

async function describe(runner: ScriptedRunner, device: string, hostPath?: string, mountedType = ''): Promise<{ found: DescribedFileSystem | undefined, findings: Finding[] }> {
  const findings: Finding[] = []
  const mounts = hostPath === undefined ? [] : [{ mountPoint: '/', hostPath, majorMinor: '8:1', fileSystemRoot: '/', type: mountedType, source: device, options: 'rw' }]
  const found = await describeFileSystem({ runner, device, mounts, report: f => { findings.push(f) }, signal: AbortSignal.timeout(10_000) })
  return { found, findings }
}

const blkid = (lines: string): ScriptedRun => ({ tool: 'blkid', args: ['-p', '-o', 'export', '--', '<any>'], stdout: lines })

t.test('an ext4 has all that its replica is made with', async t => {
  const { found, findings } = await describe(await ScriptedRunner.open(FIXTURES, ['blkid/ext4', 'dumpe2fs/ext4-mounted']), '/dev/loop0p1')
  t.match(found, { fileSystem: { type: 'ext4', uuid: '11111111-2222-4333-8444-555555555555', label: 'rootfs', blockSizeBytes: 1024, usedBytes: 0, properties: { inodeCount: '76912' } } })
  t.notOk(found !== undefined && 'unsupportedReason' in found)
  t.same(findings, [])
})

t.test('the used bytes are those of the mounted file system', async t => {
  const { found } = await describe(await ScriptedRunner.open(FIXTURES, ['blkid/ext4', 'dumpe2fs/ext4-mounted']), '/dev/loop0p1', t.testdir({ file: 'x' }), 'ext4')
  t.ok((found?.fileSystem.usedBytes ?? 0) > 0)
})

t.test('swap has its UUID, label, page size and version', async t => {
  const { found } = await describe(await ScriptedRunner.open(FIXTURES, ['blkid/swap']), '/dev/loop0p2')
  t.same(found, { fileSystem: { type: 'swap', typeName: 'swap', uuid: '22222222-3333-4444-8555-666666666666', label: 'swap0', blockSizeBytes: 4096, usedBytes: 0, features: [], inodeSizeBytes: 0, properties: { pageSizeBytes: '4096', version: '1' } } })
})

t.test('nothing on the device is no file system', async t => {
  t.equal((await describe(await ScriptedRunner.open(FIXTURES, ['blkid/nothing']), '/dev/loop7')).found, undefined)
})

t.test('what is not supported is named, with a reason', async t => {
  for (const type of ['ntfs', 'zfs_member']) {
    const { found } = await describe(new ScriptedRunner([blkid(`TYPE=${type}\nUUID=U\n`)]), '/dev/sda1')
    t.match(found, { fileSystem: { type: 'unsupported', typeName: type, uuid: 'U' }, unsupportedReason: `${type} file systems cannot be migrated` })
  }
})

t.test('logs, journals and data on other devices, and encrypted directories, are reasons', async t => {
  const dumpe2fs = (features: string): ScriptedRun => ({ tool: 'dumpe2fs', args: ['-h', '/dev/sda1'], stdout: `Filesystem volume name: x\nFilesystem UUID: u\nFilesystem features: ${features}\nInode count: 1\nBlock count: 1\nBlock size: 1024\nInode size: 256\n` })
  t.match((await describe(new ScriptedRunner([blkid('TYPE=ext4\nUUID=u\n'), dumpe2fs('has_journal')]), '/dev/sda1')).found, { unsupportedReason: /journal/ })
  t.match((await describe(new ScriptedRunner([blkid('TYPE=ext4\nUUID=u\n'), dumpe2fs('encrypt')]), '/dev/sda1')).found, { unsupportedReason: /fscrypt/ })
  const place = t.testdir({})
  const xfs = (log: string, realtime: string): ScriptedRun => ({ tool: 'xfs_info', args: [place], stdout: `meta-data=/dev/sda1 isize=512\ndata = bsize=4096 blocks=1\nlog =${log} bsize=4096\nrealtime =none rtextents=${realtime}\n` })
  t.match((await describe(new ScriptedRunner([blkid('TYPE=xfs\nUUID=u\n'), xfs('external', '0')]), '/dev/sda1', place, 'xfs')).found, { unsupportedReason: /log/ })
  t.match((await describe(new ScriptedRunner([blkid('TYPE=xfs\nUUID=u\n'), xfs('internal', '9')]), '/dev/sda1', place, 'xfs')).found, { unsupportedReason: /real-time/ })
  t.match((await describe(new ScriptedRunner([blkid('TYPE=xfs\n'), xfs('internal', '0')]), '/dev/sda1', place, 'xfs')).found, { unsupportedReason: /UUID/ })
})

t.test('a tool that is missing is a finding, and the volume is told but not taken', async t => {
  const runner = new ScriptedRunner([blkid('TYPE=ext4\nUUID=u\n'), { tool: 'dumpe2fs', args: ['-h', '/dev/sda1'], error: 'TOOL_MISSING' }])
  const { found, findings } = await describe(runner, '/dev/sda1')
  t.match(found, { fileSystem: { type: 'ext4', uuid: 'u' }, unsupportedReason: /could not be read/ })
  t.match(findings, [{ code: 'DISCOVERY_INCOMPLETE', severity: 'error' }])
})

t.test('a mounted file system that blkid cannot see keeps its type', async t => {
  const runner = new ScriptedRunner([{ tool: 'blkid', args: ['-p', '-o', 'export', '--', '/dev/sda1'], error: 'TOOL_MISSING' }])
  const { found, findings } = await describe(runner, '/dev/sda1', t.testdir({}), 'vfat')
  t.match(found, { fileSystem: { type: 'vfat', uuid: '' } })
  t.equal(findings.length, 1)
})
