import type { Command } from 'commander'
import { SourceRecord } from '../domain/server.ts'
import { Workload } from '../domain/workload.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { fields, formatBytes, formatTime, printJson, severityColour, table } from './output.ts'
import { z } from 'zod'

const Options = z.object({ workload: z.boolean().default(true) })

const DESCRIBE_TIMEOUT_MS = 180_000

/** `landfall server show`: a source and, when its agent is connected, what runs on it. */
export function addServerShow(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, {
    usage: 'show <name>', summary: 'show a source server and what runs on it',
    details: 'A connected source is asked for its disks, volumes, adapters and kernels; --no-workload leaves that out.',
  }, surroundings, async ({ args, options, client, terminal, signal, json }) => {
    const path = `/sources/${step(args[0] ?? '')}`
    const source = await client.get(path, SourceRecord, { signal })
    const wanted = Options.parse(options).workload && source.status === 'connected'
    const workload = wanted ? await client.get(`${path}/workload`, Workload, { signal, timeoutMs: DESCRIBE_TIMEOUT_MS }) : undefined
    if (json) {
      printJson(terminal, { source, ...(workload === undefined ? {} : { workload }) })
      return
    }
    terminal.out(fields([
      ['Name', source.name], ['Status', source.status.replace('-', ' ')], ['Host', source.hostName], ['System', source.osName], ['Agent', source.agentVersion],
      ['Enrolled', formatTime(source.enrolledAtUtc)], ['Last seen', formatTime(source.lastSeenAtUtc)],
    ]))
    if (workload !== undefined) terminal.out(describeWorkload(workload, terminal.colours))
  }).option('--no-workload', 'do not ask the source what runs on it')
}

function describeWorkload(w: Workload, colours: boolean): string {
  const volumes = w.volumes.map(v => [
    v.name, v.device, v.fileSystem.typeName, formatBytes(v.sizeBytes), formatBytes(v.fileSystem.usedBytes),
    v.unsupportedReason === undefined ? (v.required ? 'always migrated' : 'can be migrated') : { text: v.unsupportedReason, colour: 'yellow' as const },
  ])
  const adapters = w.adapters.map(a => [a.name, a.macAddress, a.addresses.map(x => `${x.address}/${String(x.prefixLength)}`).join(' ')])
  const kernels = w.boot.kernels.map(k => [k.version + (k.running ? ' (running)' : ''), k.drivers.join(' ')])
  return [
    fields([
      ['Firmware', w.firmware === 'bios' ? 'BIOS' : 'UEFI'], ['Boot loader', w.boot.loader], ['CPU', `${String(w.cpu.sockets)} × ${String(w.cpu.coresPerSocket)} ${w.cpu.model}`],
      ['Memory', formatBytes(w.memoryBytes)], ['Disks', w.disks.map(d => `${d.name} ${formatBytes(d.sizeBytes)} ${d.table}`).join(', ')],
      ['DNS', w.dns.servers.join(' ')], ['Capture', describeTier(w.capture)], ['Seen later', w.capture.unseen.join('; ')],
    ]),
    `\n${table(['VOLUME', 'DEVICE', 'TYPE', 'SIZE', 'USED', ''], volumes, colours)}`,
    `\n${table(['ADAPTER', 'MAC', 'ADDRESSES'], adapters, colours)}`,
    `\n${table(['KERNEL', 'DRIVERS FOR VMWARE'], kernels, colours)}`,
    w.findings.length === 0 ? '' : `\n${table(['FINDING', 'ABOUT', 'MESSAGE'], w.findings.map(f => [{ text: f.severity, ...colourOf(f.severity) }, f.subject, f.message]), colours)}`,
  ].join('')
}

const TIERS = {
  A: 'names, attributes and ranges of data as they change', B: 'names, attributes and files as they change; ranges by checksum', C: 'directories are watched one by one',
} as const

function describeTier({ tier, reason }: Workload['capture']): string {
  if (tier === 'none') return `not possible: ${reason}`
  return `tier ${tier}: ${TIERS[tier]}${reason === '' ? '' : ` (${reason})`}`
}

function colourOf(severity: Parameters<typeof severityColour>[0]): { colour?: 'red' | 'yellow' | 'green' | 'bold' | 'dim' } {
  const colour = severityColour(severity)
  return colour === undefined ? {} : { colour }
}
