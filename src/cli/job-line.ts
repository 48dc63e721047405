/** The one line that shows where a job is, for `job watch` and `job list`. */
import type { JobView } from '../domain/job.ts'
import { percent } from '../domain/progress.ts'
import { bar, type MirrorFigures } from './mirror-meter.ts'
import { clean, formatBytes, formatDuration } from './output.ts'

const MIN_BAR = 10
const MAX_BAR = 40

/** State, bar, percent, rate, remaining time and recovery point latency, as wide as the terminal at most. */
export function jobLine(view: JobView, figures: MirrorFigures | undefined, columns: number): string {
  const lost = view.sourceConnected || !needsSource(view) ? '' : 'source not connected'
  const parts = view.state === 'mirroring' && figures !== undefined
    ? mirrorParts(view, figures)
    : view.state === 'protecting' ? protectParts(view) : [clean(view.activity)]
  const held = view.transmitMode === 'paused' || view.transmitMode === 'scheduled' ? view.transmitMode : ''
  const rest = [held, ...parts, lost].filter(p => p !== '').join('  ')
  const room = columns - view.state.length - rest.length - 6
  const shown = view.state === 'mirroring' && figures !== undefined && room >= MIN_BAR ? `${bar(figures.share, Math.min(MAX_BAR, room))}  ${rest}` : rest
  return shorten(`${view.state}  ${shown}`.trimEnd(), columns - 1) // the last column makes some terminals wrap
}

function mirrorParts(view: JobView, figures: MirrorFigures): string[] {
  const { remainingMs, bytesPerSecond } = figures
  const findings = view.mirror?.findings ?? 0
  return [
    percent(figures.share),
    `${formatBytes(figures.doneBytes)} of ${formatBytes(figures.foundBytes)}${view.mirror?.walked === true ? '' : '+'}`,
    bytesPerSecond === undefined ? '' : `${formatBytes(bytesPerSecond)}/s`,
    remainingMs === undefined ? '' : `${formatDuration(Math.ceil(remainingMs / 1000) * 1000)} left`,
    view.replication === undefined ? '' : `latency ${formatDuration(view.replication.recoveryPointLatencyMs)}`,
    findings === 0 ? '' : `${String(findings)} ${findings === 1 ? 'finding' : 'findings'}`,
  ]
}

function protectParts(view: JobView): string[] {
  const r = view.replication
  if (r === undefined) return [clean(view.activity)]
  return [
    `latency ${formatDuration(r.recoveryPointLatencyMs)}`, `(median ${formatDuration(r.latencyMsP50)}, 99 % ${formatDuration(r.latencyMsP99)})`,
    `queued ${String(r.queued)}`, `applied ${String(r.changesApplied)}`, `sent ${formatBytes(r.bytesSent)}`,
    view.targetData === 'mirror-required' ? 'mirror required' : '', [...new Set((r.degraded ?? []).map(({ kind }) => kind))].join(', '),
  ]
}

/** Whether the state gets nowhere without the source. */
function needsSource(view: JobView): boolean {
  return view.state === 'mirroring' || view.state === 'protecting' || view.state === 'cutting-over'
}

export function shorten(text: string, columns: number): string {
  return columns < 1 || text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
}
