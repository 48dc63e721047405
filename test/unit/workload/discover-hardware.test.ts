import t from 'tap'
import type { Finding } from '../../../src/domain/finding.ts'
import { discoverHardware } from '../../../src/workload/discover-hardware.ts'

const unexpected = (f: Finding): void => { throw new Error(f.message) }

function processor(n: number, socket: number, core: number): string {
  return `processor\t: ${String(n)}\nmodel name\t: Example CPU: 2 GHz\nphysical id\t: ${String(socket)}\ncore id\t\t: ${String(core)}\n`
}

t.test('sockets and cores are counted, threads of a core are not', async t => {
  const cpuinfo = [processor(0, 0, 0), processor(1, 0, 1), processor(2, 1, 0), processor(3, 1, 1), processor(4, 0, 0), processor(5, 0, 1), processor(6, 1, 0), processor(7, 1, 1)].join('\n')
  const found = await discoverHardware(t.testdir({ cpuinfo, meminfo: 'MemTotal:        2048000 kB\nMemFree: 1 kB\n' }), unexpected)
  t.same(found, { cpu: { sockets: 2, coresPerSocket: 2, model: 'Example CPU: 2 GHz' }, memoryBytes: 2048000 * 1024 })
})

t.test('processors without a topology are cores of one socket', async t => {
  const found = await discoverHardware(t.testdir({ cpuinfo: 'processor : 0\n\nprocessor : 1\n\nprocessor : 2\n', meminfo: 'MemTotal: 1 kB' }), unexpected)
  t.same(found.cpu, { sockets: 1, coresPerSocket: 3, model: '' })
})

t.test('what is not told is a finding and the least', async t => {
  const findings: Finding[] = []
  const found = await discoverHardware(t.testdir({ cpuinfo: 'garbage\0' }), f => { findings.push(f) })
  t.same(found, { cpu: { sockets: 1, coresPerSocket: 1, model: '' }, memoryBytes: 1024 * 1024 })
  t.same(findings.map(f => [f.code, f.subject]), [['HARDWARE_UNKNOWN', 'memory'], ['HARDWARE_UNKNOWN', 'processors']])
})
