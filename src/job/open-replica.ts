/** The replica of a job, mounted and open for writing. */
import type { MountedVolume } from '../storage/volume-stack.ts'
import type { Targets } from '../source/source-server.ts'
import type { TargetTree } from '../tree/target-tree.ts'
import { AppError } from '../errors/app-error.ts'
import type { ReplicaPlan } from '../domain/replica.ts'
import { needsReplicaAsItIs } from '../domain/test-cutover.ts'
import type { Workload } from '../domain/workload.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { VolumeRoot } from '../wire/messages.ts'
import { abandonTest } from './clear-test.ts'
import { retrying } from './retrying.ts'
import { makeStandIns, standInPlan } from './stand-ins.ts'
import type { JobHandle, Seams } from './step.ts'
import { changeTest } from './test-record.ts'

/** What validation stored. @throws {AppError} JOB_VALIDATION_FAILED when the job was never validated */
export function planned(job: JobHandle): { plan: ReplicaPlan, workload: Workload } {
  const { plan, workload } = job.record
  if (plan === undefined || workload === undefined) throw new AppError('JOB_VALIDATION_FAILED', `job ${job.record.name} has no plan: validate it`)
  return { plan, workload }
}

/** Of what the job encrypts anew. @throws {AppError} PASSPHRASE_MISSING, STORE_INVALID */
export async function passphraseOf({ passphrases }: Pick<Seams, 'passphrases'>, job: JobHandle): Promise<string> {
  const kept = await passphrases.get(job.record.id)
  if (kept === undefined) throw new AppError('PASSPHRASE_MISSING', `the appliance keeps no passphrase for job ${job.record.name}, whose volumes are encrypted anew`)
  return kept
}

type MountSeams = Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'replica' | 'passphrases' | 'clock' | 'log'>

/** Disks made, attached and mounted as planned, as far as they are not, or their stand-ins while a test reads from them; each effect is in the job's record when the next one begins. */
export async function mountReplica(seams: MountSeams, job: JobHandle, hypervisor: Hypervisor, signal: AbortSignal): Promise<readonly MountedVolume[]> {
  const { plan } = planned(job)
  if (job.record.state !== 'protecting') await abandonTest(seams, job, signal) // that state follows its test itself
  const request = { jobId: job.record.id, hypervisor, volumes: seams.volumes, passphrase: async () => await passphraseOf(seams, job) }
  const build = async (): Promise<readonly MountedVolume[]> => {
    if (!needsReplicaAsItIs(job.record.testCutover)) return await seams.replica.build({ ...request, plan, built: job.record.built ?? { disks: [] } }, async built => { await job.update({ built }) }, signal)
    const disks = [...await makeStandIns(job, plan, hypervisor, signal)]
    return await seams.replica.build({ ...request, plan: standInPlan(plan), built: { disks } }, async built => { await changeTest(job, { standIns: built.disks }) }, signal)
  }
  const failed = async (error: Error, pauseMs: number): Promise<void> => {
    await job.update({ health: 'warning', activity: `waiting to try again: ${error.message}` })
    await job.note('retry', `${error.message}; next try in ${String(Math.round(pauseMs / 1000))} s`)
  }
  return await retrying(build, { clock: seams.clock, failed }, signal)
}

/** As `mountReplica`, with a connection of its own. */
export async function remountReplica(seams: MountSeams, job: JobHandle, signal: AbortSignal): Promise<readonly MountedVolume[]> {
  await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
  return await mountReplica(seams, job, hypervisor, signal)
}

/** The volumes as the agent opens them. Swap is re-created, not copied. */
export function volumeRoots(plan: ReplicaPlan): VolumeRoot[] {
  return plan.volumes.flatMap(({ index, volume }) => (index < 0 || volume.mountPoint === undefined ? [] : [{ index, path: volume.mountPoint }]))
}

/** The trees of the mounted volumes, by index on the wire; disposing closes them all. */
export class OpenTargets implements AsyncDisposable {
  readonly trees: Targets
  readonly #stack: AsyncDisposableStack

  private constructor(trees: Targets, stack: AsyncDisposableStack) {
    this.trees = trees
    this.#stack = stack
  }

  static async open(openTarget: Seams['openTarget'], mounted: readonly MountedVolume[], signal: AbortSignal): Promise<OpenTargets> {
    await using opening = new AsyncDisposableStack()
    const trees = new Map<number, TargetTree>()
    for (const { volume, mountPoint, volumeId } of mounted) {
      if (volume.index < 0) continue
      trees.set(volume.index, opening.use(await openTarget(mountPoint, volumeId, signal)))
    }
    return new OpenTargets(trees, opening.move())
  }

  /** @throws {AppError} REPLICA_WRITE, REPLICA_FULL */
  async flush(signal: AbortSignal): Promise<void> {
    for (const tree of this.trees.values()) await tree.flush(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
