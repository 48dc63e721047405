import type { Command } from 'commander'
import { z } from 'zod'
import { describeDegradation, type Degradation } from '../domain/degradation.ts'
import { JobEventRecord, JobView } from '../domain/job.ts'
import type { AgentLoad } from '../domain/progress.ts'
import { step } from './client.ts'
import { addCommand, type Surroundings } from './command.ts'
import { findingsTable } from './findings-table.ts'
import { jobLine } from './job-line.ts'
import { MirrorMeter } from './mirror-meter.ts'
import { clean, fields, formatBytes, formatDuration, formatTime, paint, printJson, severityColour, table } from './output.ts'
import { planText } from './plan-text.ts'

const HISTORY_LIMIT = 1000
const HISTORY_SHOWN = 15
const FINDINGS_SHOWN = 20

/** `landfall job show`: everything about one job. */
export function addJobShow(parent: Command, surroundings: Surroundings): void {
  addCommand(parent, { usage: 'show <name>', summary: 'show a job: figures, plan, findings, history and the actions offered now' }, surroundings, async ({ args, client, terminal, signal, json, now }) => {
    const path = `/jobs/${step(args[0] ?? '')}`
    const job = await client.get(path, JobView, { signal })
    const history = await client.get(`${path}/history?after=0&limit=${String(HISTORY_LIMIT)}`, z.array(JobEventRecord), { signal })
    if (json) {
      printJson(terminal, { ...job, history })
      return
    }
    terminal.out(describeJob(job, terminal.colours, now()))
    if (history.length > 0) terminal.out(`\n${history.slice(-HISTORY_SHOWN).map(e => `${formatTime(e.atUtc)}  ${clean(e.message)}\n`).join('')}`)
  })
}

function describeJob(job: JobView, colours: boolean, nowMs: number): string {
  const { options: o, mirror: m, replication: r, lastError, proof, plan } = job
  const figures = m === undefined ? undefined : new MirrorMeter().update(m, nowMs)
  return [
    fields([
      ['Job', `${job.name} (${job.id})`], ['Source', `${job.source}${job.sourceConnected ? ', connected' : ', not connected'}`], ['VMware server', job.vmware],
      ['State', jobLine(job, figures, Number.MAX_SAFE_INTEGER)], ['Activity', job.activity], ['Actions offered now', job.actions.join(', ') || 'none'],
    ]),
    `Health:  ${paint(job.health, severityColour(job.health), colours)}\n`,
    fields([
      ['Replica', `${o.vmName} on ${o.datastore}, ${o.diskFormat} disks`], ['Cutover', o.cutover === 'automatic' ? 'when the mirror is complete' : 'when asked'],
      ['Transmit mode', job.transmitMode], ['Bandwidth', sending(job.options)], ['Compression', o.compression],
      ['Mirror to replication', `${String(o.ratio?.mirror ?? 1)}:${String(o.ratio?.replication ?? 1)}`],
      ['Shut the source down', o.shutDownSource ? 'yes' : 'no'],
      ['Hardware', plan === undefined ? undefined : `${String(plan.sockets)} × ${String(plan.coresPerSocket)} CPU, ${formatBytes(plan.memoryMiB * 2 ** 20)}, ${plan.firmware.toUpperCase()}, ${plan.controller}`],
      ['Mirror', m === undefined ? undefined : `${String(m.filesDone)} files sent, ${String(m.filesSkipped)} equal, ${sent(m)}, ${String(m.findings)} findings`],
      ['Replication', r === undefined ? undefined : `${String(r.changesApplied)} changes, ${sent(r)}, latency ${formatDuration(r.recoveryPointLatencyMs)}${longest(r.latencyMsMax)}`],
      ['Agent', r?.agent === undefined ? undefined : agentText(r.agent)],
      ['Target data', job.targetData?.replaceAll('-', ' ')],
      ['Queue', r?.queueBytes === undefined ? undefined : `${String(r.queued)} changes, ${formatBytes(r.queueBytes)} of memory, ${formatBytes(r.diskQueueBytes ?? 0)} on disk`],
      ['Rehearsal', job.rehearsal === undefined ? undefined : `${job.rehearsal.state}${job.rehearsal.endedAtUtc === undefined ? '' : ` at ${formatTime(job.rehearsal.endedAtUtc)}`}${job.rehearsal.message === undefined ? '' : `: ${job.rehearsal.message}`}`],
      ['Test cutover', job.testCutover === undefined ? undefined : `${job.testCutover.state}, VM ${job.testCutover.vmName} in the network ${job.testCutover.network}${job.testCutover.message === undefined ? '' : `: ${job.testCutover.message}`}`],
      ['Downtime', job.downtimeMs === undefined ? undefined : formatDuration(job.downtimeMs)],
      ['Booted', proof === undefined ? undefined : `${proof.hostName} at ${formatTime(proof.bootedAtUtc)}${proof.systemState === '' ? '' : `, ${proof.systemState}`}`],
      ['Screenshot', job.screenshot === undefined ? undefined : `kept at ${formatTime(job.screenshot.takenAtUtc)}; save it with: landfall job screenshot ${job.name} --output FILE`],
      ['Last error', lastError === undefined ? undefined : `${lastError.code}: ${lastError.message} ${lastError.operator}`],
    ]),
    degradedTable(r?.degraded ?? [], colours),
    plan === undefined ? '' : `\n${planText(plan)}`,
    ...[job.validation.filter(f => f.severity !== 'ok'), job.findings.slice(0, FINDINGS_SHOWN)].map(f => f.length === 0 ? '' : `\n${findingsTable(f, colours)}`),
    job.phases.length === 0 ? '' : `\n${table(['PHASE', 'STARTED', 'TOOK'], job.phases.map(p => [p.phase, formatTime(p.startedAtUtc), duration(p, nowMs)]), colours)}`,
  ].join('')
}

function agentText({ cpuPercent, memoryBytes, nice, isBehind = false }: AgentLoad): string {
  return [
    `${cpuPercent.toFixed(1)} % of a processor`, `${formatBytes(memoryBytes)} of memory`,
    ...nice > 0 ? [`stands back (nice ${String(nice)})`] : [], ...isBehind ? ['further behind than it may be: it comes forward'] : [],
  ].join(', ')
}

function longest(ms: number | undefined): string {
  return ms === undefined ? '' : `, longest ${formatDuration(ms)}`
}

/** What of the capture is less than it should be; '' when nothing is. */
function degradedTable(degraded: readonly Degradation[], colours: boolean): string {
  if (degraded.length === 0) return ''
  return `\n${table(['CAPTURE', 'VOLUME', 'SINCE', 'WHAT IT MEANS'], degraded.map(one => [one.kind, one.subject ?? (one.volume === undefined ? 'all' : String(one.volume)), formatTime(new Date(one.sinceMs).toISOString()), describeDegradation(one)]), colours)}`
}

function sent({ bytesSent, bytesSentCompressed }: { bytesSent: number, bytesSentCompressed?: number | undefined }): string {
  return `${formatBytes(bytesSent)} sent${bytesSentCompressed === undefined || bytesSentCompressed >= bytesSent ? '' : `, ${formatBytes(bytesSentCompressed)} compressed`}`
}

function sending({ bandwidthBytesPerS, bandwidthSchedule }: JobView['options']): string {
  const rate = (bytesPerS: number | undefined): string => (bytesPerS === undefined ? 'unlimited' : `${formatBytes(bytesPerS)}/s`)
  return [rate(bandwidthBytesPerS), ...bandwidthSchedule.map(w => `${w.from}-${w.to} ${w.timeZone ?? 'UTC'} ${rate(w.bandwidthBytesPerS)}`)].join(', ')
}

function duration(phase: JobView['phases'][number], nowMs: number): string {
  const end = phase.endedAtUtc === undefined ? nowMs : Date.parse(phase.endedAtUtc)
  return formatDuration(Math.max(0, end - Date.parse(phase.startedAtUtc)))
}
