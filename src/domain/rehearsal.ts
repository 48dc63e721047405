/** A rehearsal: all boot fix-ups on a throw-away layer over the replica, so that the cutover does nothing for the first time. */
import { z } from 'zod'
import { FixUpReport } from './replica.ts'

export const Rehearsal = z.object({
  /** wanted: it waits for its turn */
  state: z.enum(['wanted', 'running', 'passed', 'failed']),
  startedAtUtc: z.string().optional(),
  endedAtUtc: z.string().optional(),
  /** why it failed */
  message: z.string().optional(),
  /** what each fix-up did and how each file would change; of the last one that ran */
  report: FixUpReport.optional(),
})
export type Rehearsal = z.infer<typeof Rehearsal>
