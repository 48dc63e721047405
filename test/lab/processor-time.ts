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
