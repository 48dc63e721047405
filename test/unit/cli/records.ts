/** Records that the fake appliance answers with. */
import type { JobView } from '../../../src/domain/job.ts'
import { NO_MIRROR_PROGRESS } from '../../../src/domain/progress.ts'
import type { SourceRecord, VmwareRecord } from '../../../src/domain/server.ts'

export function jobView(changes: Partial<JobView> = {}): JobView {
  return {
    version: 1, id: 'j-1', name: 'move-web1', source: 'web1', vmware: 'vc1', state: 'created', health: 'ok', activity: 'waits to be validated',
    options: {
      volumes: [], datastore: 'ds1', vmName: 'web1', networks: [], defaultNetwork: 'VM Network', diskFormat: 'thin', compare: 'none', rules: [], orphans: 'delete',
      cutover: 'manual', shutDownSource: true, autoRemirror: 'attributes', bandwidthSchedule: [], compression: 'off', ignoreDeletes: false,
    },
    validation: [], findings: [], cutoverSteps: [], phases: [], createdAtUtc: '2026-01-02T03:00:00.000Z', updatedAtUtc: '2026-01-02T03:00:00.000Z',
    transmitMode: 'stopped', actions: ['validate', 'remove'], sourceConnected: true, ...changes,
  }
}

export function mirroring(bytesDone: number, bytesFound = 1000 * 2 ** 20): JobView {
  return jobView({
    state: 'mirroring', transmitMode: 'active', activity: 'mirroring', actions: ['stop'],
    mirror: { ...NO_MIRROR_PROGRESS, filesFound: 100, filesDone: Math.floor(100 * bytesDone / bytesFound), bytesFound, bytesDone, bytesSent: bytesDone, walked: true },
  })
}

export function protecting(changes: Partial<JobView> = {}): JobView {
  return jobView({
    state: 'protecting', transmitMode: 'active', activity: 'replicating', actions: ['cutover', 'remirror', 'stop'],
    replication: { queued: 3, changesApplied: 12, bytesSent: 2048, recoveryPointLatencyMs: 120, latencyMsP50: 90, latencyMsP99: 340 }, ...changes,
  })
}

export const source: SourceRecord = {
  version: 1, id: 's-1', name: 'web1', status: 'connected', agentVersion: '0.1.0', hostName: 'web1.example', osName: 'Debian GNU/Linux 12',
  enrolledAtUtc: '2026-01-02T03:00:00.000Z', lastSeenAtUtc: '2026-01-02T03:04:00.000Z', createdAtUtc: '2026-01-02T02:00:00.000Z',
}

export const vmware: VmwareRecord = {
  version: 1, id: 'v-1', name: 'vc1', host: 'vc.example', port: 443, user: 'admin', thumbprint: '', product: 'VMware vCenter Server 8.0', apiVersion: '8.0', createdAtUtc: '2026-01-02T02:00:00.000Z',
}
