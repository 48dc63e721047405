/** Switching the source off at cutover. */
import { writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../logging/logger.ts'
import type { Runner } from '../command/runner.ts'
import type { SourceCapture } from '../source/source-capture.ts'

const SYSRQ_FILE = '/proc/sysrq-trigger'
const SYSTEMCTL_MS = 60_000
/** What the kernel gets to end the machine. */
const OFF_MS = 60_000

export interface PowerOffSeams {
  runner: Runner
  log: Logger
  /** writes one sysrq key */
  sysrq?: (key: string) => Promise<void>
  offMs?: number
}

/**
 * Switches the machine off, whatever becomes of the link meanwhile. A frozen one can only be switched off by the kernel itself: no process may write any more; the copy
 * is then exactly the last state. The watchdog stays: a kernel that does not do it, and an agent that dies here, end in a thaw. Falls back to an ordinary shutdown then.
 */
export async function powerOffSystem(capture: SourceCapture, { runner, log, sysrq = writeSysrq, offMs = OFF_MS }: PowerOffSeams): Promise<void> {
  if (await capture.hold()) {
    capture.holdItself()
    let why: unknown
    try {
      await sysrq('s')
      await sysrq('o')
      await pause(offMs) // the machine ends here
    } catch (error) {
      why = error
    }
    await capture.thaw()
    log.error({ err: why }, 'the kernel does not switch the machine off')
  }
  await runner.run('systemctl', ['poweroff'], { signal: AbortSignal.timeout(SYSTEMCTL_MS), timeoutMs: SYSTEMCTL_MS })
}

async function writeSysrq(key: string): Promise<void> {
  await writeFile(SYSRQ_FILE, key)
}
