/**
 * Step of `cutting-over`: the replica takes over. Until the replica is powered on everything can be undone: the source thaws and the job returns to
 * `provisioning`, from where it protects again. From the power-on until the proof the source stays frozen; without a proof the replica is switched off and
 * the source thaws. `cutoverSteps` says how far it came, so that a restart in the middle does one of the two.
 */
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import type { Finding } from '../domain/finding.ts'
import type { ReplicationProgress } from '../domain/progress.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { placedGroups, type MountedVolume } from '../storage/volume-stack.ts'
import { CollectedFindings } from './collect-findings.ts'
import { finishSource } from './finish-source.ts'
import { SourceHold } from './hold-source.ts'
import type { JobEvent } from './job-state.ts'
import { REPLICA_RAN } from './mirror.ts'
import { OpenTargets, planned, remountReplica } from './open-replica.ts'
import { prepareSource } from './prepare-source.ts'
import { closePhase, openPhase } from './phases.ts'
import { giveUpReplica, proveBoot } from './prove-boot.ts'
import { needsRehearsal, rehearse } from './rehearse.ts'
import type { JobHandle, Seams } from './step.ts'
import { thawSource } from './thaw-source.ts'
import { transmitAsOrdered } from './transmitting.ts'
import { finishUserTasks } from './user-tasks.ts'
import { connectedSource } from './with-source.ts'

export type CutoverSeams = Pick<Seams, 'sources' | 'openHypervisor' | 'volumes' | 'openTarget' | 'replica' | 'passphrases' | 'clock' | 'log' | 'times' | 'scripts' | 'store'>

/** What a cutover has done, in order; written down before the effect that the next start must know of. */
export type CutoverStep = 'draining' | 'frozen' | 'fixing-boot' | 'changing' | 'released' | 'creating-vm' | 'powering-on' | 'powered-on' | 'proved'

/** @throws {AppError} BOOT_NOT_PROVEN; everything before the power-on ends in `cutover-undone` instead */
export async function cutover(seams: CutoverSeams, job: JobHandle, signal: AbortSignal): Promise<JobEvent> {
  const steps = job.record.cutoverSteps
  if (steps.includes('proved')) return await finishSource(seams, job, signal)
  if (steps.includes('powering-on')) return await goOnBehindPowerOn(seams, job, signal)
  if (steps.length > 0) return await undo(seams, job, new AppError('SOURCE_THAWED', 'the appliance was restarted in the middle of the cutover'), signal)
  let hold: SourceHold
  try {
    hold = await switchOver(seams, job, signal)
  } catch (error) {
    if (!job.record.cutoverSteps.includes('powering-on')) return await undo(seams, job, error, signal)
    signal.throwIfAborted() // an appliance that is shut down goes on when it is started again
    throw await giveUpReplica(seams, job, error)
  }
  await proveBoot(seams, job, hold, signal)
  return await finishSource(seams, job, signal)
}

/** From the rehearsal, when none has passed since the last mirror and within a day, or the system was changed since, over the last drain to the power-on. @returns the hold on the frozen source */
async function switchOver(seams: CutoverSeams, job: JobHandle, signal: AbortSignal): Promise<SourceHold> {
  await reached(job, 'draining', 'sending the last changes')
  const mounted = await remountReplica(seams, job, signal)
  if (await needsRehearsal(seams, job, mounted, signal)) {
    await job.update({ activity: 'rehearsing what makes the replica boot' })
    await rehearse(seams, job, mounted, signal)
    await job.update({ activity: 'sending the last changes' })
  }
  const hold = await drain(seams, job, mounted, signal)
  await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
  const vmId = await hold.during(async inner => await makeReplica(seams, job, mounted, hypervisor, inner), signal)
  await powerOn(job, hypervisor, vmId, { hold, bootMs: seams.times.bootMs }, signal)
  return hold
}

/** From the last look at the source to the end of the wait for the replica, beyond the time for its boot: the power-on, and switching it off again. */
const BOOT_MARGIN_MS = 15 * 60_000

/** What ends a call of which nobody knows whether it had, or will have, its effect; anything else is the server's refusal. */
const UNSURE: ReadonlySet<string> = new Set<ErrorCode>(['VSPHERE_TIMEOUT', 'VSPHERE_UNREACHABLE', 'VSPHERE_LOGIN', 'SOURCE_THAWED', 'INTERNAL'])

/**
 * The last look at the source, then the power-on: from there the replica may write, and two servers must never both be believed. Written down before: what lies on the
 * disks is the replica's own from now on, however this ends. Only where the server has refused, and the VM is off, all is as before.
 */
async function powerOn(job: JobHandle, hypervisor: Hypervisor, vmId: string, { hold, bootMs }: { hold: SourceHold, bootMs: number }, signal: AbortSignal): Promise<void> {
  // a replica with the source's address may cut the line to it: it must not thaw beside it
  if (await hold.ask(signal, bootMs + BOOT_MARGIN_MS) !== 'frozen') throw new AppError('SOURCE_THAWED', 'the source was not frozen any more when the replica was ready')
  const { captureEpoch, mirrorBootId, cutoverSteps } = job.record
  await job.update({ cutoverSteps: [...new Set([...cutoverSteps, 'powering-on' satisfies CutoverStep])], activity: 'starting the replica', captureEpoch: undefined, mirrorBootId: REPLICA_RAN })
  try {
    await hold.during(async inner => { await hypervisor.power(vmId, 'on', inner) }, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error) || UNSURE.has(error.code) || await hypervisor.powerState(vmId, signal) !== 'off') throw error
    await job.update({ cutoverSteps, captureEpoch, mirrorBootId })
    throw error
  }
}

/** Every change is on the replica and durable, the source is frozen, the trees are closed. */
async function drain(seams: CutoverSeams, job: JobHandle, mounted: readonly MountedVolume[], signal: AbortSignal): Promise<SourceHold> {
  const findings = new CollectedFindings(job.record.findings)
  await using targets = await OpenTargets.open(seams.openTarget, mounted, signal)
  const source = await connectedSource(seams, job, seams.times.connectMs, signal)
  const prepare = async (): Promise<{ captureEpoch: string }> => await prepareSource(job, source, signal)
  const { captureEpoch } = await prepare()
  if (captureEpoch !== job.record.captureEpoch) throw new AppError('CAPTURE_OVERFLOW', 'the agent was restarted and may have missed changes: a new mirror comes first')
  await transmitAsOrdered(seams, job, source, signal)
  const report = (replication: ReplicationProgress, found: readonly Finding[]): void => {
    findings.add(found)
    job.progress({ replication, findings: findings.all })
  }
  // tasks in the stream run before the freeze: the source serves meanwhile
  if (await finishUserTasks(seams, job, source, async flowing => { await source.replicate(targets.trees, report, flowing) }, signal)) await prepare()
  const startedAtMs = seams.clock.now()
  const { quiesce } = job.record.options
  // the scripts of the source come on top of the drain itself
  const drainMs = seams.times.drainMs + (quiesce?.scripts ?? []).reduce((sum, { timeoutMs }) => sum + timeoutMs, 0)
  const note = async ({ kind, message }: { kind: string, message: string }): Promise<void> => { await job.note(kind, message) }
  const drained = await source.drain({ freeze: true, holdMs: seams.times.holdMs, quiesce, note }, targets.trees, report, AbortSignal.any([signal, AbortSignal.timeout(drainMs)]))
  const hold = new SourceHold(seams, job)
  // the source's clock may be off; the freeze lies within the drain by ours
  const frozenAtMs = Math.min(Math.max(drained.frozenAtMs ?? startedAtMs, startedAtMs), seams.clock.now())
  const frozenAtUtc = new Date(frozenAtMs).toISOString()
  const stoppedAtUtc = new Date(Math.min(Math.max(drained.stoppedAtMs ?? frozenAtMs, startedAtMs), frozenAtMs)).toISOString()
  // users miss the source from the stop of its first service on
  let phases = openPhase(closePhase(job.record.phases, 'downtime', stoppedAtUtc), 'downtime', stoppedAtUtc)
  if (drained.stoppedAtMs !== undefined) phases = closePhase(openPhase(phases, 'services-stopped', stoppedAtUtc), 'services-stopped', frozenAtUtc)
  phases = closePhase(openPhase(phases, 'frozen-drain', frozenAtUtc), 'frozen-drain', new Date(seams.clock.now()).toISOString())
  await job.update({ replication: drained.progress, findings: findings.all, phases })
  await reached(job, 'frozen', 'the source is frozen, finishing the replica')
  await job.note('drained', `${String(drained.changes)} last changes in ${String(Math.round(drained.drainMs))} ms; the source is frozen`)
  await hold.during(async inner => { await targets.flush(inner) }, signal)
  return hold
}

/** The mounted, complete replica becomes a VM that is powered off. */
async function makeReplica(seams: CutoverSeams, job: JobHandle, mounted: readonly MountedVolume[], hypervisor: Hypervisor, signal: AbortSignal): Promise<string> {
  const { plan, workload } = planned(job)
  const { id: jobId, options } = job.record
  await reached(job, 'fixing-boot', 'making the replica boot on the target')
  const findings = new CollectedFindings(job.record.findings)
  const disks = job.record.built?.disks ?? []
  const request = { jobId, plan, workload, options, built: { disks }, volumes: seams.volumes, mounted }
  findings.add(await seams.replica.makeBootable(request, {
    keepReport: async fixUps => { await job.update({ fixUps }) },
    beforeChanges: async () => { await reached(job, 'changing', 'making the replica boot on the target') },
  }, signal))
  await job.update({ findings: findings.all })
  await seams.volumes.unmark(mounted, signal)
  const devices: string[] = []
  for (const disk of disks) devices.push(await seams.volumes.deviceOf(disk.uuid, signal))
  const unchecked = await seams.volumes.release(jobId, devices, signal, { handOver: placedGroups(plan, devices), checkMs: seams.times.checkMs })
  if (unchecked.length > 0) await job.note('not-checked', `the check of ${unchecked.join(', ')} would have taken longer than ${String(seams.times.checkMs / 1000)} s and was left out: the source waits frozen; check the replica when it is idle`)
  await reached(job, 'released', 'moving the disks to the replica')
  await hypervisor.detachDisks(disks, signal)
  await reached(job, 'creating-vm', 'creating the replica VM')
  const vmId = await hypervisor.createVm({ plan, disks, jobId }, signal)
  await job.update({ built: { disks, vmId } })
  await job.note('vm-created', `the replica VM ${plan.vmName} was created`)
  return vmId
}

/** After a restart: the replica was, or was about to be, powered on. */
async function goOnBehindPowerOn(seams: CutoverSeams, job: JobHandle, signal: AbortSignal): Promise<JobEvent> {
  await job.note('restarted', 'the appliance was restarted while the replica was starting')
  const hold = new SourceHold(seams, job)
  let begun = false
  try {
    await connectedSource(seams, job, seams.times.connectMs, signal)
    if (await hold.ask(signal) !== 'frozen') throw new AppError('SOURCE_THAWED', 'the source did not stay frozen while the appliance was restarted')
    if (!await mayRun(seams, job, signal)) {
      await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
      begun = true
      await powerOn(job, hypervisor, job.record.built?.vmId ?? '', { hold, bootMs: seams.times.bootMs }, signal)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (job.record.cutoverSteps.includes('powering-on') && (begun || await mayRun(seams, job, signal))) throw await giveUpReplica(seams, job, error)
    return await undo(seams, job, error, signal)
  }
  await proveBoot(seams, job, hold, signal)
  return await finishSource(seams, job, signal)
}

/** Whether the replica runs; yes when that cannot be found out. */
async function mayRun(seams: CutoverSeams, job: JobHandle, signal: AbortSignal): Promise<boolean> {
  const vmId = job.record.built?.vmId
  if (vmId === undefined) return false
  try {
    await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
    return await hypervisor.powerState(vmId, signal) !== 'off'
  } catch (error) {
    signal.throwIfAborted()
    seams.log.warn({ err: error, jobId: job.record.id }, 'power state of the replica could not be read')
    return true
  }
}

/** The source runs on, the job returns to where its replica is opened again. Finishes also when the signal is aborted: a frozen source must not wait. */
async function undo(seams: CutoverSeams, job: JobHandle, error: unknown, signal: AbortSignal): Promise<JobEvent> {
  await thawSource(seams, job)
  if (signal.aborted) throw error
  seams.log.warn({ err: error, jobId: job.record.id }, 'cutover was undone')
  try {
    await seams.volumes.release(job.record.id, [], signal, { check: false })
  } catch (releaseError) {
    seams.log.warn({ err: releaseError, jobId: job.record.id }, 'volumes could not be unmounted after an undone cutover')
  }
  const nowMs = seams.clock.now()
  const nowUtc = new Date(nowMs).toISOString()
  const code = isAppError(error) ? error.code : 'INTERNAL'
  const message = error instanceof Error ? error.message : String(error)
  await job.note('cutover-undone', `${code}: ${message}. The source runs on, nothing is lost. The job protects again by itself; then cut over again.`)
  await job.update({
    phases: closePhase(job.record.phases, 'downtime', nowUtc),
    // what provisioning has to undo
    cutoverSteps: job.record.cutoverSteps.filter(step => step === 'fixing-boot' || step === 'changing' || step === 'creating-vm'),
    // the next cutover must not find out with the source frozen what a rehearsal can tell
    ...code === 'BOOT_FIXUP_FAILED' ? { rehearsal: { ...job.record.rehearsal, state: 'wanted' as const } } : {},
    lastError: { code, message, operator: CODES[code].operator, atUtc: nowUtc }, health: 'warning', activity: `cutover undone: ${message}`,
  })
  return 'cutover-undone'
}

async function reached(job: JobHandle, step: CutoverStep, activity: string): Promise<void> {
  await job.update({ cutoverSteps: [...new Set([...job.record.cutoverSteps, step])], activity })
}
