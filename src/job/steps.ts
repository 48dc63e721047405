/** Which step does the work of which state. */
import type { JobState } from '../domain/job.ts'
import { cutover } from './cutover.ts'
import { mirror } from './mirror.ts'
import { protect } from './protect.ts'
import { provision } from './provision.ts'
import { remove } from './remove.ts'
import type { Seams, Step } from './step.ts'
import { stop } from './stop.ts'
import { validate } from './validate.ts'

export function jobSteps(seams: Seams): Partial<Record<JobState, Step>> {
  return {
    validating: async (job, signal) => await validate(seams, job, signal),
    provisioning: async (job, signal) => await provision(seams, job, signal),
    mirroring: async (job, signal) => await mirror(seams, job, signal),
    protecting: async (job, signal) => await protect(seams, job, signal),
    'cutting-over': async (job, signal) => await cutover(seams, job, signal),
    stopped: async (job, signal) => {
      await stop(seams, job, signal)
      return undefined
    },
    removing: async (job, signal) => await remove(seams, job, signal),
  }
}
