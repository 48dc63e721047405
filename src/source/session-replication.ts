/** The replication of one connection of the agent: replicate and drain share one replicator, and what it knows of the replica. */
import type { Clock } from '../clock/clock.ts'
import type { Finding } from '../domain/finding.ts'
import type { AgentLoad, ReplicationProgress } from '../domain/progress.ts'
import { createReplicator, type Replicator } from '../replication/replicator.ts'
import type { AcknowledgedStream } from '../wire/acknowledged-stream.ts'
import { Barriers } from './barrier.ts'
import type { CaptureCount } from './capture-count.ts'
import { ReportSender } from './report-sender.ts'
import type { Capturing, SourceCapture } from './source-capture.ts'

/** What an agent does: replication, which is so far behind now (ms); a drain; else a mirror, or nothing. */
export type AgentWork = { behindMs: () => number } | 'drain' | 'other'

/** What this agent costs the source: comes with the figures of replication, which heeds it, and is told what the agent does, of replication how far it is behind. */
export interface FollowedLoad {
  readonly current: AgentLoad
  follow: (work: AgentWork) => void
  /** whether the source was short of processor time since this was asked last, and replication may wait a little */
  isSourceShort: () => boolean
}

export interface SessionReplicationOptions {
  capture: SourceCapture
  stream: AcknowledgedStream
  clock: Clock
  load?: FollowedLoad
  keepsDeleted: () => boolean
  /** sends a report under the number of its request; rejects when the link has ended */
  tell: (id: number, progress: ReplicationProgress, findings: readonly Finding[]) => Promise<void>
}

export class SessionReplication {
  readonly #options: SessionReplicationOptions
  readonly #barriers = new Barriers()
  #current: { capturing: Capturing, replicator: Replicator } | undefined
  #reports: ReportSender<ReplicationProgress> | undefined

  constructor(options: SessionReplicationOptions) {
    this.#options = options
  }

  /** What it knows of the replica does not hold any more. */
  forget(): void {
    this.#current = undefined
  }

  /** Resolves when everything that was captured until now is durable. */
  async passed(signal: AbortSignal): Promise<void> {
    await this.#barriers.passed(this.#options.clock.now(), signal)
  }

  /** Runs `work` while what the replicator reports goes out under the request's number; all of it is out when it settles. */
  async reporting<T>(id: number, kind: 'replication' | 'drain', work: (replicator: Replicator) => Promise<T>): Promise<T> {
    const { capture, load } = this.#options
    const reports = this.reports(id)
    this.#reports = reports
    try {
      await capture.protect()
      const replicator = this.#replicator()
      load?.follow(kind === 'drain' ? kind : { behindMs: () => replicator.progress().recoveryPointLatencyMs })
      return await work(replicator)
    } finally {
      load?.follow('other')
      this.#reports = undefined
      await reports.finish()
    }
  }

  /** Reports that go out under the request's number. */
  reports(id: number): ReportSender<ReplicationProgress> {
    return new ReportSender(async (progress, findings) => { await this.#options.tell(id, progress, findings) })
  }

  /** Progress with what is known beside the replication. */
  withState(progress: ReplicationProgress, count: CaptureCount): ReplicationProgress {
    const { load } = this.#options
    return { ...progress, ...load === undefined ? {} : { agent: load.current }, position: count.tell() }
  }

  #replicator(): Replicator {
    const { capture: { current: capturing }, stream, clock, keepsDeleted, load } = this.#options
    if (this.#current?.capturing !== capturing) {
      const { volumes, rules, changes, safe, latency } = capturing
      const replicator = createReplicator({
        volumes, rules, changes, safe, latency, stream, clock, keepsDeleted, isSourceShort: () => load?.isSourceShort() === true,
        report: (progress, findings) => {
          this.#barriers.noteSafe(clock.now() - progress.recoveryPointLatencyMs)
          this.#reports?.report(this.withState(progress, capturing.count), findings)
        },
      })
      this.#current = { capturing, replicator }
    }
    return this.#current.replicator
  }
}
