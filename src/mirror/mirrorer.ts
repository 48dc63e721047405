/**
 * The first full copy and every later difference copy: the agent's side. It walks the volumes, asks the replica what it has, and sends
 * what differs. It promises that when it resolves, everything it sent is applied and flushed; what could not be copied is a finding. It
 * does not capture changes: what changes while it walks is replication's business, which must be capturing already.
 */
import type { Clock } from '../clock/clock.ts'
import { ROOT_PATH } from '../domain/rel-path.ts'
import type { MirrorProgress } from '../domain/progress.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import type { AppliedFailure, MirrorRequest, ResumePoint } from '../wire/messages.ts'
import { MAX_LISTED_DIRECTORIES, type OperationStream } from '../wire/operation-stream.ts'
import { Arrivals } from './arrivals.ts'
import { LinkGroups } from './link-groups.ts'
import { GroupMirror, type PendingDirectory, type VolumeMirror } from './mirror-group.ts'
import { Refusals } from './refusals.ts'
import { Tally, type MirrorReporter } from './tally.ts'

export interface MirrorWork {
  volumes: ReadonlyMap<number, SourceTree>
  stream: OperationStream
  request: MirrorRequest
  /** what an interrupted mirror has left, by volume */
  resume?: readonly ResumePoint[]
  /** called now and then with the figures and the findings since the last call */
  report: MirrorReporter
  clock: Clock
}

/** Directories that one group takes; a group asks the replica for all its listings in one round trip. */
const GROUP_DIRECTORIES = Math.min(64, MAX_LISTED_DIRECTORIES)
/** Groups at work at the same time: one reads while another waits for the replica. */
const GROUPS_AT_ONCE = 3
/** How often what the replica refused is looked for and sent again. Objects that vanish while they are copied are refused in the first round. */
const EXTRA_ROUNDS = 2

/**
 * Mirrors all volumes.
 * @throws {AppError} LINK_LOST. Abort stops between batches; what was sent stays.
 */
export async function mirrorVolumes(work: MirrorWork, signal: AbortSignal): Promise<MirrorProgress> {
  const { stream } = work
  const tally = new Tally(stream, work.clock, work.report)
  let refusals = await mirrorRound(work, tally, undefined, signal)
  tally.walked()
  tally.tell(true)
  for (let round = 0; round < EXTRA_ROUNDS && refusals.again.size > 0; round++) {
    // a walk by attributes finds exactly what is missing, links and directories' times included
    const again = { ...work, resume: [], request: { ...work.request, compare: 'attributes' as const } }
    refusals = await mirrorRound(again, new Tally(stream, work.clock, (_, findings) => { tally.finding(...findings) }), refusals.again, signal)
  }
  tally.finding(...refusals.remainingFindings())
  await stream.requestFlush(signal)
  await stream.whenDurable(stream.sent, signal)
  tally.tell(true)
  return tally.progress()
}

/** One walk over all volumes; gives what the replica refused, all of which is applied or refused when it resolves. */
async function mirrorRound(work: MirrorWork, tally: Tally, refusedBefore: ReadonlyMap<string, AppliedFailure> | undefined, signal: AbortSignal): Promise<Refusals> {
  const { stream } = work
  const refusals = new Refusals(refusedBefore === undefined ? undefined : new Set(refusedBefore.keys()))
  const collect = (): void => { tally.finding(...refusals.add(stream.takeFailures())) }
  for (const [volume, tree] of work.volumes) {
    const mirror: VolumeMirror = { volume, tree, stream, request: work.request, links: new LinkGroups(), tally, arrivals: arrivalsOn(volume, work.resume) }
    await walk(mirror, collect, signal)
    const root = await tree.readMetadata(ROOT_PATH, signal)
    if (root !== undefined) await stream.send(volume, root, signal)
  }
  await stream.whenApplied(stream.sent, signal)
  collect()
  tally.finding(...refusals.finalFindings())
  tally.tell(true)
  return refusals
}

/** Depth first, several groups at once; a directory's turn comes after the operation that makes it was sent. */
async function walk(mirror: VolumeMirror, collectFailures: () => void, signal: AbortSignal): Promise<void> {
  const pending: PendingDirectory[] = [{ path: ROOT_PATH, fresh: false }]
  const running = new Set<Promise<void>>()
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  try {
    while (pending.length > 0 || running.size > 0) {
      both.throwIfAborted()
      while (pending.length > 0 && running.size < GROUPS_AT_ONCE) {
        // leave something for the others when there is little
        const size = Math.max(1, Math.min(GROUP_DIRECTORIES, Math.ceil(pending.length / GROUPS_AT_ONCE)))
        const group = pending.splice(-size)
        const turn: Promise<void> = new GroupMirror(mirror).run(group, both)
          .then(children => { for (const child of children) pending.push(child) })
          .finally(() => { running.delete(turn) })
        running.add(turn)
      }
      await Promise.race(running)
      collectFailures()
    }
  } catch (error) {
    stop.abort(error)
    throw error
  } finally {
    await Promise.allSettled(running)
  }
}

function arrivalsOn(volume: number, resume: readonly ResumePoint[] = []): Arrivals | undefined {
  const point = resume.find(p => p.volume === volume)
  return point === undefined ? undefined : new Arrivals(point)
}
