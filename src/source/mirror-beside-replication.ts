/** A mirror with replication beside it: what the mirror has passed follows the source while the mirror goes on (tree/mirror-front.ts). */
import type { MirrorProgress, ReplicationProgress } from '../domain/progress.ts'
import type { Finding } from '../domain/finding.ts'
import type { Ratio } from '../domain/transmission.ts'
import { begun, mirrorVolumes, type MirrorWork } from '../mirror/mirrorer.ts'
import type { ChangeSource } from '../capture/change-source.ts'
import { replicateBeside } from '../replication/replicate-beside.ts'
import { shareStream } from '../wire/shared-stream.ts'

export interface MirrorBesideWork extends Omit<MirrorWork, 'front'> {
  /** captured since before the mirror */
  changes: ChangeSource
  ratio: () => Ratio
  keepsDeleted: () => boolean
  reportReplication: (progress: ReplicationProgress, findings: readonly Finding[]) => void
}

/** Mirrors all volumes. What replication could not bring over meanwhile is back at its source when it settles. @throws {AppError} LINK_LOST */
export async function mirrorBesideReplication(work: MirrorBesideWork, signal: AbortSignal): Promise<MirrorProgress> {
  if (work.request.orphansPreview === true) return await mirrorVolumes(work, signal)
  const { volumes, rules, changes, clock, keepsDeleted, reportReplication: report } = work
  const streams = shareStream(work.stream, work.ratio)
  const front = begun(volumes)
  const over = new AbortController()
  const failed = new AbortController()
  const replicating = (async () => {
    try {
      await replicateBeside({ volumes, ...rules === undefined ? {} : { rules }, changes, stream: streams.replication, clock, keepsDeleted, report }, front, AbortSignal.any([signal, over.signal]))
    } catch (error) {
      failed.abort(error)
    }
  })()
  try {
    return await mirrorVolumes({ ...work, stream: streams.mirror, front }, AbortSignal.any([signal, failed.signal]))
  } finally {
    over.abort()
    await replicating
    // replication may have ended before the mirror
    changes.putBack(front.takeAgain().map(name => ({ kind: 'entry', ...name, atMs: clock.now() })))
  }
}
