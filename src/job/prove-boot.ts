/** Behind the power-on of a cutover: the proof that the replica booted, and what becomes of both without it. */
import { AppError, isAppError } from '../errors/app-error.ts'
import { CODES } from '../errors/codes.ts'
import type { BootProof } from '../domain/replica.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { SourceHold } from './hold-source.ts'
import { keepScreenshot } from './keep-screenshot.ts'
import { REPLICA_RAN } from './mirror.ts'
import { closePhase, openPhase, phaseStartMs } from './phases.ts'
import type { JobHandle, Seams } from './step.ts'
import { thawSource } from './thaw-source.ts'

type ProofSeams = Pick<Seams, 'sources' | 'openHypervisor' | 'clock' | 'log' | 'times' | 'store'>

const POWER_OFF_MS = 60_000
/** the downtime is measured as finely as this */
const POLL_MS = 1000

/**
 * Waits for the replica's own report and writes it down as `proved`: from then on the replica is its users' server.
 * @throws {AppError} BOOT_NOT_PROVEN when it does not come in time, or the source says that it thawed; the replica is off and the source thawed then
 */
export async function proveBoot(seams: ProofSeams, job: JobHandle, hold: SourceHold, signal: AbortSignal): Promise<void> {
  const nowUtc = new Date(seams.clock.now()).toISOString()
  let proof: BootProof
  try {
    await job.update({
      cutoverSteps: [...new Set([...job.record.cutoverSteps, 'powered-on'])], phases: openPhase(job.record.phases, 'boot', nowUtc), activity: 'waiting for the replica to boot', screenshot: undefined,
    })
    proof = await awaitReport(seams, job, hold, signal)
  } catch (error) {
    signal.throwIfAborted() // an appliance that is shut down goes on when it is started again
    throw await giveUpReplica(seams, job, error, hold)
  }
  const provedAtMs = seams.clock.now()
  const provedAtUtc = new Date(provedAtMs).toISOString()
  const frozenAtMs = phaseStartMs(job.record.phases, 'downtime')
  await job.update({
    cutoverSteps: [...job.record.cutoverSteps, 'proved'], proof, phases: closePhase(closePhase(job.record.phases, 'boot', provedAtUtc), 'downtime', provedAtUtc),
    downtimeMs: frozenAtMs === undefined ? undefined : provedAtMs - frozenAtMs, activity: 'the replica has booted',
  })
  await job.note('replica-booted', `the replica reported as ${proof.hostName}, system state ${proof.systemState === '' ? 'unknown' : proof.systemState}`)
}

/**
 * Switches the replica off and thaws the source, because only one of them may serve: while the source is held the replica's end is waited for, as long as a boot may take.
 * @returns the error to end the step with
 */
export async function giveUpReplica(seams: ProofSeams, job: JobHandle, cause: unknown, hold = new SourceHold(seams, job)): Promise<AppError> {
  const why = cause instanceof Error ? cause.message : String(cause)
  const { vmName = '' } = job.record.plan ?? {}
  const vmId = job.record.built?.vmId ?? ''
  // two servers that serve have no time for it
  const screenshot = isAppError(cause, 'SOURCE_THAWED') ? undefined : await keepScreenshot(seams, job, 'cutover', vmId, AbortSignal.timeout(POWER_OFF_MS))
  const off = await switchedOff(seams, job, vmId, hold) ? 'The replica was switched off' : `The VM ${vmName} could not be switched off: do that now, by hand`
  await thawSource(seams, job)
  const nowUtc = new Date(seams.clock.now()).toISOString()
  // the replica wrote on its disks: they need a mirror before they equal the source again
  await job.update({ screenshot, captureEpoch: undefined, mirrorBootId: REPLICA_RAN, phases: closePhase(closePhase(job.record.phases, 'boot', nowUtc), 'downtime', nowUtc) })
  const look = screenshot === undefined ? `Look at the console of ${vmName}` : `See its last screen with: landfall job screenshot ${job.record.name} --output FILE`
  await job.note('cutover-failed', `${why}. ${off}; the source runs on, nothing is lost. ${look}; correct the cause, then retry the job.`)
  return new AppError('BOOT_NOT_PROVEN', `${why}. ${off}; the source runs on.`, { cause })
}

/** Whether the VM is known to be off; tried again while the source stays frozen. */
async function switchedOff(seams: ProofSeams, job: JobHandle, vmId: string, hold: SourceHold): Promise<boolean> {
  const { clock, log, times } = seams
  const startMs = clock.now()
  for (;;) {
    const signal = AbortSignal.timeout(POWER_OFF_MS)
    try {
      await using hypervisor = await seams.openHypervisor(job.record.vmware, signal)
      await hypervisor.power(vmId, 'off', signal)
      return true
    } catch (error) {
      log.error({ err: error, jobId: job.record.id, vmId }, 'replica that did not prove its boot could not be switched off')
    }
    const held = await hold.ask(AbortSignal.timeout(POWER_OFF_MS)).catch(() => 'silent' as const)
    if (held !== 'frozen' || clock.now() - startMs >= times.bootMs) return false
    await clock.sleep(POLL_MS, AbortSignal.timeout(POWER_OFF_MS))
  }
}

/** Polls for the report while the source is held. A silent source is no reason to give up while it must still be frozen: a replica with its address may have cut the line. */
async function awaitReport(seams: ProofSeams, job: JobHandle, hold: SourceHold, signal: AbortSignal): Promise<BootProof> {
  const startMs = seams.clock.now()
  let hypervisor: Hypervisor | undefined
  try {
    for (;;) {
      try {
        hypervisor ??= await seams.openHypervisor(job.record.vmware, signal)
        const proof = await hypervisor.bootReport(job.record.built?.vmId ?? '', signal)
        if (proof !== undefined) return proof
      } catch (error) {
        if (!isAppError(error) || !CODES[error.code].retryable) throw error
        seams.log.warn({ err: error, jobId: job.record.id }, 'boot report could not be asked for; asked again')
      }
      const held = await hold.ask(signal)
      if (held === 'thawed' || held === 'lost') throw new AppError('SOURCE_THAWED', 'the source thawed before the replica had proved its boot')
      if (seams.clock.now() - startMs >= seams.times.bootMs) {
        throw new AppError('BOOT_NOT_PROVEN', `the replica gave no sign of life within ${String(Math.round(seams.times.bootMs / 1000))} s`)
      }
      await seams.clock.sleep(POLL_MS, signal)
    }
  } finally {
    await hypervisor?.[Symbol.asyncDispose]()
  }
}
