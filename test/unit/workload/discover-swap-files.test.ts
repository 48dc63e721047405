import { join } from 'node:path'
import t from 'tap'
import { ScriptedRunner, type ScriptedRun } from '../../../src/command/scripted-runner.ts'
import type { Finding } from '../../../src/domain/finding.ts'
import { discoverSwapFiles } from '../../../src/workload/discover-swap-files.ts'
import { ext4, GIB, volume } from '../replica/workloads.ts'

const volumes = [volume('vda', 2, '/', ext4('r', GIB), GIB), { ...volume('vdb', 1, '/srv', ext4('s', GIB), GIB), on: 'vg0/srv' }]
const blkid = (path: string, stdout: string): ScriptedRun => ({ tool: 'blkid', args: ['-p', '-o', 'export', '--', path], stdout })

t.test('files are told with the volume that they lie on; partitions are not', async t => {
  const proc = t.testdir({ swaps: 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swap.img                               file\t\t2097148\t\t0\t\t-2\n/dev/dm-1 partition 1000 0 -3\n/srv/my\\040swap file 1020 0 -4\n' })
  const findings: Finding[] = []
  const runner = new ScriptedRunner([blkid('/swap.img', 'TYPE=swap\nUUID=u\nLABEL=l\nVERSION=1\n'), { ...blkid('/srv/my swap', ''), error: 'TOOL_MISSING' }])
  const found = await discoverSwapFiles({ runner, volumes, kernel: { proc, sys: '', dev: '' }, report: f => { findings.push(f) }, signal: AbortSignal.timeout(10_000) })
  t.match(found, [
    { name: '/swap.img', disk: 'vda', partition: 2, on: undefined, sizeBytes: 2 * GIB, fileSystem: { uuid: 'u', label: 'l', properties: { swapfile: 'yes' } } },
    { name: '/srv/my swap', disk: 'vdb', partition: 1, on: 'vg0/srv', sizeBytes: 1024 * 1024, fileSystem: { uuid: '' } },
  ])
  t.same(findings.map(f => f.subject), ['/srv/my swap'])
})

t.test('without the list, or without a volume that holds the file, there is none', async t => {
  const report = (f: Finding): void => { throw new Error(f.message) }
  const signal = AbortSignal.timeout(10_000)
  t.same(await discoverSwapFiles({ runner: new ScriptedRunner([]), volumes, kernel: { proc: join(t.testdir({}), 'none'), sys: '', dev: '' }, report, signal }), [])
  t.same(await discoverSwapFiles({ runner: new ScriptedRunner([]), volumes: [], kernel: { proc: t.testdir({ swaps: '/swap.img file 4 0 -2\n' }), sys: '', dev: '' }, report, signal }), [])
})
