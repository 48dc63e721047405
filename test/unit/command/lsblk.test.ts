import { join } from 'node:path'
import t from 'tap'
import { listBlockDevices } from '../../../src/command/lsblk.ts'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'

const FIXTURES = join(import.meta.dirname, '../../../fixtures/command')
const signal = AbortSignal.timeout(10_000)

function answering(stdout: string): ScriptedRunner {
  const run: ScriptedRun = { tool: 'lsblk', args: ['-J', '-b', '-l', '-o', '<any>'], stdout }
  return new ScriptedRunner([run])
}

t.test('disks and partitions come with their sizes, numbers and parents', async t => {
  const devices = await listBlockDevices(await ScriptedRunner.open(FIXTURES, ['lsblk/mbr-loop-disk']), signal)
  t.same(devices.find(d => d.kernelName === 'loop0p1'), {
    kernelName: 'loop0p1', name: 'loop0p1', path: '/dev/loop0p1', type: 'part', majorMinor: '259:0', sizeBytes: 314572800, sectorSizeBytes: 512,
    removable: false, readOnly: false, parents: ['loop0'],
  })
  t.same(devices.find(d => d.kernelName === 'loop0')?.parents, [])
})

t.test('a device without a size is left out', async t => {
  const devices = await listBlockDevices(await ScriptedRunner.open(FIXTURES, ['lsblk/mbr-loop-disk']), signal)
  t.notOk(devices.some(d => d.kernelName === 'zram0'))
})

t.test('numbers and flags written as text by older versions are understood, a name with ! becomes a path, several parents join', async t => {
  const row = { 'maj:min': '104:1', type: 'raid1', size: '1000', 'log-sec': '512', rm: '0', ro: '1' }
  const devices = await listBlockDevices(answering(JSON.stringify({ blockdevices: [
    { ...row, kname: 'cciss!c0d0', pkname: 'sda' }, { ...row, kname: 'cciss!c0d0', pkname: 'sdb' },
  ] })), signal)
  t.same(devices, [{
    kernelName: 'cciss!c0d0', name: 'cciss!c0d0', path: '/dev/cciss/c0d0', type: 'raid1', majorMinor: '104:1', sizeBytes: 1000, sectorSizeBytes: 512,
    removable: false, readOnly: true, parents: ['sda', 'sdb'],
  }])
})

t.test('an answer in another form is TOOL_OUTPUT', async t => {
  await t.rejects(listBlockDevices(answering('NAME SIZE'), signal), { code: 'TOOL_OUTPUT' })
  await t.rejects(listBlockDevices(answering('{"blockdevices":[{"kname":1}]}'), signal), { code: 'TOOL_OUTPUT' })
})
