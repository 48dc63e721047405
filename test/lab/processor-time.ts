/** What work costs this machine, as the kernel counts it. */
import { readFileSync } from 'node:fs'

/** what a tick of /proc/stat is on every Linux that we run on */
const TICK_MS = 10

/** Processor time that all of the machine has spent on anything since it was booted, in ms: also what kernel threads do for us, as writing back. */
export function machineCpuMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = line.trim().split(/ +/).slice(1).map(Number)
  return (user + nice + system + irq + softIrq) * TICK_MS
}

/** The most memory that a living process has had resident, in bytes. */
export function peakBytes(pid: number): number {
  const [, kib = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

/** Memory that a living process has resident now, in bytes. */
export function residentBytes(pid: number): number {
  const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

/** Processor time of a living process and of its children that have ended, in ms. */
export function processCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  // user and system time, own and of ended children: fields 14 to 17, counted behind the name in brackets
  const times = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number)
  return times.reduce((sum, ticks) => sum + ticks, 0) * TICK_MS
}
