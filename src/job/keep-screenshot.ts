/** What the screen of a new VM shows is kept beside the job: for those who were not there, and, when it does not boot, for those who must find out why. */
import type { Screenshot, ScreenshotOf } from '../domain/replica.ts'
import type { JobHandle, Seams } from './step.ts'

/** A frozen source may wait for it. */
const SCREENSHOT_MS = 10_000

/** Never throws: a screenshot that cannot be had is told in the history, and is no reason to do anything else than without it. @returns undefined also when the server makes none */
export async function keepScreenshot(
  { openHypervisor, store, clock, log }: Pick<Seams, 'openHypervisor' | 'store' | 'clock' | 'log'>, job: JobHandle, of: ScreenshotOf, vmId: string, signal: AbortSignal,
): Promise<Screenshot | undefined> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(SCREENSHOT_MS)])
  try {
    await using hypervisor = await openHypervisor(job.record.vmware, inTime)
    const image = await hypervisor.screenshot(vmId, inTime)
    if (image === undefined) return undefined
    await store.putScreenshot(job.record.id, of, image)
    return { takenAtUtc: new Date(clock.now()).toISOString(), bytes: image.length }
  } catch (error) {
    log.warn({ err: error, jobId: job.record.id, vmId }, 'no screenshot could be kept')
    if (!signal.aborted) await job.note('no-screenshot', `no screenshot of the VM could be kept: ${error instanceof Error ? error.message : String(error)}`).catch(() => undefined) // the log has it
    return undefined
  }
}
