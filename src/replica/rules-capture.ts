/** What must hold so that changes reach the replica until the cutover, and the source can come to rest for it. Part of the table of `rules.ts`. */
import { CODES } from '../errors/codes.ts'
import { chosenVolumes } from './plan.ts'
import { when, type Rule } from './rule.ts'

export const CAPTURE_RULES: readonly Rule[] = [
  { code: 'CAPTURE_UNSUPPORTED', severity: 'error', title: 'changes on the source can be captured', advice: CODES.CAPTURE_UNSUPPORTED.operator, check: ({ workload }) => when(workload.capture.tier === 'none', 'capture', `changes cannot be captured: ${workload.capture.reason}`) },
  { code: 'CAPTURE_TIER', severity: 'warning', title: 'changes are captured with the ranges of files in which they are', advice: 'Nothing is lost: what is not seen at once is found by change time every ten minutes and at the cutover, whose last drain takes longer for it. A newer kernel, or an agent with more rights, sees more.', check: ({ workload: { capture } }) =>
    when(capture.tier === 'B' || capture.tier === 'C', 'capture', `capture is of tier ${capture.tier}: ${capture.reason}. Not seen when it happens: ${capture.unseen.join('; ')}`) },
  { code: 'FREEZE_NOT_ALLOWED', severity: 'error', title: 'the agent may freeze the file systems of the source', advice: 'Run the agent as root with CAP_SYS_ADMIN, outside of a container.', check: ({ workload: { capture } }) =>
    when(capture.mayFreeze === false, 'freeze', 'the agent lacks the right CAP_SYS_ADMIN: the file systems of the source cannot be frozen at the cutover') },
  { code: 'QUEUE_FOLDER_INVALID', severity: 'error', title: 'the folder of the queue on the source can be used', advice: CODES.QUEUE_FOLDER_INVALID.operator, check: ({ workload: { capture: { queue } } }) =>
    when(queue?.problem !== undefined, queue?.folder ?? '', queue?.problem?.message ?? '') },
  { code: 'QUEUE_FOLDER_REPLICATED', severity: 'error', title: 'the folder of the queue lies on no volume of the job', advice: CODES.QUEUE_FOLDER_REPLICATED.operator, check: ({ workload, options }) => {
    const { queue } = workload.capture
    return chosenVolumes(workload, options).filter(v => queue?.volumes.some(mountPoint => mountPoint === v.mountPoint))
      .map(v => ({ subject: queue?.folder ?? '', message: `the folder of the queue, ${queue?.folder ?? ''}, lies on the same file system as the volume ${v.mountPoint ?? v.name}, which is replicated` }))
  } },
]
