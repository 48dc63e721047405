/**
 * Freezes the mount points given (joined by commas), says "starting", "frozen", and holds on for ever: the test kills it.
 *   node frozen-process.ts MOUNT_POINTS HOLD_MS [FREEZE_MS [log]]    log: writes to its log while frozen, then thaws and says so
 */
import { isAppError } from '../../../src/errors/app-error.ts'
import { captureLog } from '../../../src/logging/logger.ts'
import { freeze } from '../../../src/replication/freezer.ts'

const [, , paths, holdMs, freezeMs, log] = process.argv
if (paths === undefined) throw new TypeError('no mount point')
process.stdout.write('starting\n')
try {
  const frozen = await freeze(paths.split(','), { holdMs: Number(holdMs), freezeMs: Number(freezeMs ?? 15_000) }, new AbortController().signal)
  process.stdout.write('frozen\n')
  if (log !== undefined) {
    captureLog.error('a line while frozen')
    process.stdout.write('logged\n')
    if (await frozen.hold()) process.stdout.write('held\n')
    await frozen.thaw()
    process.stdout.write('thawed\n')
  }
  setInterval(() => { void frozen.hold() }, 100)
} catch (error) {
  process.stdout.write(`${isAppError(error) ? error.code : String(error)}\n`)
  setInterval(() => undefined, 1000)
}
