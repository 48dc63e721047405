/** Processors and memory that the running kernel sees. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Workload } from '../domain/workload.ts'
import { isSystemError, type Report } from './findings.ts'

/** Sockets, cores and memory from cpuinfo and meminfo below `proc`; one of each, and a finding, when they do not tell. */
export async function discoverHardware(proc: string, report: Report): Promise<Pick<Workload, 'cpu' | 'memoryBytes'>> {
  const memoryKiB = Number(/^MemTotal:\s+(\d{1,12}) kB$/m.exec(await read(join(proc, 'meminfo')))?.[1] ?? 0)
  const cpu = countCores(await read(join(proc, 'cpuinfo')))
  if (memoryKiB === 0) report(unknown('memory', 'the size of the memory is not known'))
  if (cpu === undefined) report(unknown('processors', 'the number of processors is not known'))
  return { memoryBytes: Math.max(memoryKiB, 1024) * 1024, cpu: cpu ?? { sockets: 1, coresPerSocket: 1, model: '' } }
}

/**
 * The virtual machine gets one core per core of the source; threads of a core (SMT) are not cores. Without topology (many virtual
 * machines) every processor counts as a socket's core of one socket.
 */
function countCores(cpuinfo: string): Workload['cpu'] | undefined {
  const processors = cpuinfo.split(/\n\s*\n/).map(block => new Map(block.split('\n').map(line => {
    const at = line.indexOf(':')
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
  }))).filter(p => p.has('processor'))
  if (processors.length === 0) return undefined
  const model = processors[0]?.get('model name') ?? ''
  const sockets = new Set(processors.flatMap(p => p.get('physical id') ?? []))
  const cores = new Set(processors.flatMap(p => p.has('core id') ? [`${p.get('physical id') ?? '0'}:${p.get('core id') ?? ''}`] : []))
  if (sockets.size === 0 || cores.size === 0 || cores.size % sockets.size !== 0) return { sockets: 1, coresPerSocket: processors.length, model }
  return { sockets: sockets.size, coresPerSocket: cores.size / sockets.size, model }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (!isSystemError(error)) throw error
    return ''
  }
}

function unknown(subject: string, message: string): Parameters<Report>[0] {
  return { code: 'HARDWARE_UNKNOWN', severity: 'warning', subject, message, advice: 'Give the figure for the replica when the job is created.' }
}
