/** What a replicator is made of. */
import type { ChangeSource } from '../capture/change-source.ts'
import type { Clock } from '../clock/clock.ts'
import type { Finding } from '../domain/finding.ts'
import type { ReplicationProgress } from '../domain/progress.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { VolumeRules } from '../tree/volume-rules.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import type { LatencyHistogram } from './latency.ts'
import type { SafePoint } from './safe-point.ts'

export interface ReplicatorOptions {
  /** by the index on the wire */
  volumes: ReadonlyMap<number, SourceTree>
  /** the rules of each volume, as its tree and the changes obey them; left out: everything belongs to the replica */
  rules?: ReadonlyMap<number, VolumeRules>
  /** began before the mirror's first read */
  changes: ChangeSource
  stream: OperationStream
  report: (progress: ReplicationProgress, findings: readonly Finding[]) => void
  clock: Clock
  /** up to when everything is durable on the replica, kept by whoever outlives the connection; left out: nobody asks */
  safe?: SafePoint
  /** how long changes took, kept by whoever outlives the connection; left out: from now on */
  latency?: LatencyHistogram
  /** whether the source was short of processor time since the last cycle ended: then they begin less often; left out: it never is */
  isSourceShort?: () => boolean
  /** called within long cycles, too */
  moved?: () => void
  /** whether names that vanish are left on the replica; asked again for each part of a cycle */
  keepsDeleted?: (() => boolean) | undefined
  /** a mirror is under way, and `changes` are only what it has passed (tree/mirror-front.ts) */
  besideMirror?: boolean
}
