/** What becomes of the source when its replica has proved its boot. The replica is in use then: nothing here fails the job any more. */
import type { SourceServer } from '../source/source-server.ts'
import type { JobEvent } from './job-state.ts'
import { keepScreenshot } from './keep-screenshot.ts'
import type { JobHandle, Seams } from './step.ts'
import { connectedSource } from './with-source.ts'

/** Switches the source off, or lets it go, as the job says; one that is away is told when it is there again. */
export async function finishSource(
  seams: Pick<Seams, 'sources' | 'openHypervisor' | 'clock' | 'log' | 'times' | 'replica' | 'volumes' | 'passphrases' | 'store'>, job: JobHandle, signal: AbortSignal,
): Promise<JobEvent> {
  await forget(seams, job)
  // durable before it is tried
  await job.update({ finishOwed: true })
  try {
    await tell(job, await connectedSource(seams, job, seams.times.connectMs, signal), signal)
  } catch (error) {
    signal.throwIfAborted()
    seams.log.warn({ err: error, jobId: job.record.id }, 'source could not be told that the cutover is complete')
    const advice = job.record.options.shutDownSource ? 'Switch it off by hand now; should it connect again, it is switched off then' : 'Stop the agent on it; should it connect again, it is let go then'
    const message = `completed, but the source could not be reached. ${advice}: what is written on it since the cutover is not on the replica.`
    await job.update({ health: 'warning', activity: message })
    await job.note('source-unfinished', message)
  }
  // not before: the source waits for nothing that is only shown
  await job.update({ screenshot: await keepScreenshot(seams, job, 'cutover', job.record.built?.vmId ?? '', signal) })
  return 'replica-booted'
}

/** Tells a source that is there again what could not be told when the cutover of its job was complete. @throws {AppError} what the source throws; it is tried again with the next connection */
export async function finishOwed(jobs: Iterable<JobHandle>, source: SourceServer, signal: AbortSignal): Promise<void> {
  for (const job of jobs) {
    if (job.record.source === source.sourceId && job.record.state === 'completed' && job.record.finishOwed === true) await tell(job, source, signal)
  }
}

async function tell(job: JobHandle, source: SourceServer, signal: AbortSignal): Promise<void> {
  const off = job.record.options.shutDownSource
  await (off ? source.powerOff(signal) : source.release(signal, { completed: true }))
  const what = off ? 'the source is switched off' : 'the source was let go and runs on'
  await job.update({ health: 'ok', activity: `completed; ${what}`, lastError: undefined, finishOwed: undefined })
  await job.note('source-finished', what)
}

/** The replica is its users' server: nothing of it will be taken back. */
async function forget({ replica, volumes, passphrases, log }: Pick<Seams, 'replica' | 'volumes' | 'passphrases' | 'log'>, job: JobHandle): Promise<void> {
  try {
    await replica.forgetFixUps({ jobId: job.record.id, volumes })
    await passphrases.remove(job.record.id)
  } catch (error) {
    log.warn({ err: error, jobId: job.record.id }, 'what the appliance kept for the job could not be deleted')
  }
}
