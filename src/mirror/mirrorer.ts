/**
 * The first full copy and every later difference copy: the agent's side. It walks the volumes, asks the replica what it has, and sends
 * what differs. It promises that when it resolves, everything it sent is applied and flushed; what could not be copied is a finding. It
 * does not capture changes: what changes while it walks is replication's business, which must be capturing already.
 */
import type { Clock } from '../clock/clock.ts'
import { LIMBO } from '../domain/limbo.ts'
import { parseRelPath, ROOT_PATH, type RelPath } from '../domain/rel-path.ts'
import type { MirrorProgress } from '../domain/progress.ts'
import { isAppError } from '../errors/app-error.ts'
import { MirrorFront } from '../tree/mirror-front.ts'
import type { SourceTree } from '../tree/source-tree.ts'
import { EVERYTHING, type VolumeRules } from '../tree/volume-rules.ts'
import type { AppliedFailure, MirrorRequest, ResumePoint } from '../wire/messages.ts'
import type { OperationStream } from '../wire/operation-stream.ts'
import { Arrivals } from './arrivals.ts'
import { EdgeLinks } from './edge-links.ts'
import { reservedName } from './findings.ts'
import { LinkGroups } from './link-groups.ts'
import { GroupMirror, type PendingDirectory, type VolumeMirror } from './mirror-group.ts'
import { Orphans, type OrphanReporter } from './orphans.ts'
import { previewOrphans } from './preview-orphans.ts'
import { Refusals } from './refusals.ts'
import { Tally, type MirrorReporter } from './tally.ts'
import { walkGroups } from './walk-groups.ts'

export interface MirrorWork {
  /** as the rules let them be seen */
  volumes: ReadonlyMap<number, SourceTree>
  /** the rules of each volume; left out: everything belongs to the replica */
  rules?: ReadonlyMap<number, VolumeRules>
  stream: OperationStream
  request: MirrorRequest
  /** what an interrupted mirror has left, by volume */
  resume?: readonly ResumePoint[]
  /** called now and then with the figures and the findings since the last call */
  report: MirrorReporter
  /** told of every orphan; left out: they are dealt with and not told */
  reportOrphans?: OrphanReporter | undefined
  clock: Clock
  /** shared with the replication that runs beside it, whose roots have begun; left out: there is none */
  front?: MirrorFront | undefined
}

/** How often what the replica refused is looked for and sent again. Objects that vanish while they are copied are refused in the first round. */
const EXTRA_ROUNDS = 2

/**
 * Mirrors all volumes.
 * @throws {AppError} LINK_LOST. Abort stops between batches; what was sent stays.
 */
export async function mirrorVolumes(work: MirrorWork, signal: AbortSignal): Promise<MirrorProgress> {
  const { stream } = work
  const tally = new Tally(stream, work.clock, work.report)
  if (work.request.orphansPreview === true) return await preview(work, tally, signal)
  for (const tree of work.volumes.values()) if (await hasLimbo(tree, signal)) tally.finding(reservedName(LIMBO))
  const { front = begun(work.volumes) } = work
  let refusals = await mirrorRound(work, front, tally, undefined, signal)
  tally.walked()
  tally.tell(true)
  for (let round = 0; round < EXTRA_ROUNDS && refusals.again.size > 0; round++) {
    // a walk by attributes finds exactly what is missing, links and directories' times included
    const again = { ...work, resume: [], reportOrphans: undefined, request: { ...work.request, compare: 'attributes' as const } }
    await front.alone(async () => { begin(front, work.volumes) })
    refusals = await mirrorRound(again, front, new Tally(stream, work.clock, (_, findings) => { tally.finding(...findings) }), refusals.again, signal)
  }
  tally.finding(...refusals.remainingFindings())
  await stream.requestFlush(signal)
  await stream.whenDurable(stream.sent, signal)
  tally.completed()
  tally.tell(true)
  return tally.progress()
}

/** The front of a mirror that is about to begin: everything is under way. */
export function begun(volumes: ReadonlyMap<number, unknown>): MirrorFront {
  const front = new MirrorFront()
  begin(front, volumes)
  return front
}

function begin(front: MirrorFront, volumes: ReadonlyMap<number, unknown>): void {
  for (const volume of volumes.keys()) front.begin(volume, ROOT_PATH)
}

/** Whether the source has something of the name that is ours, which no listing shows. */
async function hasLimbo(tree: SourceTree, signal: AbortSignal): Promise<boolean> {
  try {
    return await tree.readMetadata(LIMBO, signal) !== undefined
  } catch (error) {
    if (!isAppError(error, 'SOURCE_UNREADABLE')) throw error
    return true
  }
}

/** Only looks for orphans. */
async function preview(work: MirrorWork, tally: Tally, signal: AbortSignal): Promise<MirrorProgress> {
  for (const [volume, tree] of work.volumes) {
    const orphans = orphansOf(volume, work, tally)
    await previewOrphans({ volume, tree, stream: work.stream, orphans, tally }, signal)
    await orphans.finish(signal)
  }
  tally.walked()
  tally.tell(true)
  return tally.progress()
}

function orphansOf(volume: number, work: MirrorWork, tally: Tally): Orphans {
  const { stream, request, clock } = work
  return new Orphans(volume, { stream, rules: work.rules?.get(volume) ?? EVERYTHING, request, clock, tally, report: work.reportOrphans })
}

/** One walk over all volumes; gives what the replica refused, all of which is applied or refused when it resolves. */
async function mirrorRound(work: MirrorWork, front: MirrorFront, tally: Tally, refusedBefore: ReadonlyMap<string, AppliedFailure> | undefined, signal: AbortSignal): Promise<Refusals> {
  const { stream } = work
  const refusals = new Refusals(refusedBefore === undefined ? undefined : new Set(refusedBefore.keys()))
  const inTheWay = new Set([...refusedBefore ?? []].filter(([, { errno }]) => errno === 'EEXIST').map(([key]) => key))
  const collect = (): void => { tally.finding(...refusals.add(stream.takeFailures())) }
  for (const [volume, tree] of work.volumes) {
    const orphans = orphansOf(volume, work, tally)
    const edges = (work.rules?.get(volume) ?? EVERYTHING).all ? undefined : new EdgeLinks()
    const mirror: VolumeMirror = { orphans, edges, volume, tree, stream, request: work.request, links: new LinkGroups(), tally, arrivals: arrivalsOn(volume, work), inTheWay, front }
    // a directory's turn comes after the operation that makes it was sent
    await walkGroups<PendingDirectory>([{ path: ROOT_PATH, fresh: false }], async (group, inner) => await mirrorGroup(mirror, group, inner), collect, signal)
    await front.alone(async () => {
      await edges?.sever(mirror, signal)
      const root = await tree.readMetadata(ROOT_PATH, signal)
      if (root !== undefined) await stream.send(volume, root, signal)
    })
    await orphans.finish(signal)
  }
  await stream.whenApplied(stream.sent, signal)
  collect()
  for (const failure of refusals.handOver(one => front.wasReplaced(one.volume, pathOf(one)))) front.lookAgain(failure.volume, pathOf(failure))
  tally.finding(...refusals.finalFindings())
  tally.tell(true)
  return refusals
}

async function mirrorGroup(mirror: VolumeMirror, group: readonly PendingDirectory[], signal: AbortSignal): Promise<readonly PendingDirectory[]> {
  const { front, volume } = mirror
  const children = await new GroupMirror(mirror).run(group, signal)
  for (const { path } of children) front.begin(volume, path)
  for (const { path } of group) front.end(volume, path)
  return children
}

function pathOf({ path }: AppliedFailure): RelPath {
  return parseRelPath(Buffer.from(path, 'base64'))
}

function arrivalsOn(volume: number, { resume = [], clock }: Pick<MirrorWork, 'resume' | 'clock'>): Arrivals | undefined {
  const point = resume.find(p => p.volume === volume)
  return point === undefined ? undefined : new Arrivals(point, clock.now())
}
