/**
 * Replication beside a mirror: cycles over what the mirror has passed, until it is told to stop. Nothing of it outlives the mirror: what
 * is not done goes back to the source of the changes, and the replication that begins then knows nothing of what was looked at before.
 */
import { isAppError } from '../errors/app-error.ts'
import type { MirrorFront } from '../tree/mirror-front.ts'
import { ChangesBesideMirror } from './changes-beside-mirror.ts'
import { CycleReports } from './cycle-reports.ts'
import { CYCLE_MS, Cycles } from './cycles.ts'
import type { ReplicatorOptions } from './replicator-options.ts'

/**
 * Replicates until `signal` aborts, and resolves when all changes that are not durable are back at their source. It ends earlier when it must
 * wait for the mirror's end.
 * @throws {AppError} LINK_LOST
 */
export async function replicateBeside(options: Omit<ReplicatorOptions, 'safe' | 'besideMirror'>, front: MirrorFront, signal: AbortSignal): Promise<void> {
  const { clock, stream } = options
  const changes = new ChangesBesideMirror(options.changes, front, clock)
  const cycles = new Cycles({ ...options, changes, besideMirror: true })
  const reports = new CycleReports(cycles, options)
  try {
    while (!signal.aborted && !changes.isOver) {
      const began = clock.now()
      await front.alone(async () => { await cycles.once({ thorough: false, frozen: false }, signal) })
      reports.report()
      await clock.sleep(Math.max(0, began + CYCLE_MS - clock.now()), signal)
    }
    // refused or not: it is known when it is applied
    await stream.whenApplied(stream.sent, signal)
  } catch (error) {
    // a volume that was replaced is what the replication behind the mirror meets, too
    if (!signal.aborted && !isAppError(error, 'CAPTURE_OVERFLOW')) throw error
  } finally {
    await cycles.putBack()
    changes.end()
  }
}
