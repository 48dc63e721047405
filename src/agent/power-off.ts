/** Switching the source off at cutover. */
import { writeFile } from 'node:fs/promises'
import type { Logger } from '../logging/logger.ts'
import type { Runner } from '../command/runner.ts'
import type { SourceCapture } from '../source/source-capture.ts'

const SYSRQ_FILE = '/proc/sysrq-trigger'
const SYSTEMCTL_MS = 60_000

export interface PowerOffSeams {
  runner: Runner
  log: Logger
  /** writes one sysrq key */
  sysrq?: (key: string) => Promise<void>
}

/**
 * Switches the machine off. A frozen one can only be switched off by the kernel itself: no process may write any more; the copy is then
 * exactly the last state. Falls back to an ordinary shutdown, for which it thaws.
 */
export async function powerOffSystem(capture: SourceCapture, seams: PowerOffSeams, signal: AbortSignal): Promise<void> {
  const { runner, log, sysrq = writeSysrq } = seams
  if (await capture.leave()) {
    try {
      await sysrq('s')
      await sysrq('o')
      return
    } catch (error) {
      log.error({ err: error }, 'the kernel does not switch the machine off')
      await capture.thaw()
    }
  }
  await runner.run('systemctl', ['poweroff'], { signal, timeoutMs: SYSTEMCTL_MS })
}

async function writeSysrq(key: string): Promise<void> {
  await writeFile(SYSRQ_FILE, key)
}
