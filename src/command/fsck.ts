/** Checks unmounted file systems, but for one without changing them: `e2fsck -fn`, `xfs_repair -n`, `btrfs check --readonly`, `fsck.vfat -n`. */
import type { Runner } from './runner.ts'

export interface CheckResult {
  clean: boolean
  /** the end of what the tool said, for the log and the message */
  output: string
}

const REPAIR_MS = 3_600_000
const OUTPUT_TAIL = 4096
/** e2fsck: 1 and 2 errors corrected (never with -n), 4 errors left, 8 operational error, 12 both. xfs_repair -n: 1 corruption, 2 dirty log. */
const EXT_ANSWERS = [1, 2, 4, 12]
const XFS_ANSWERS = [1, 2]

/** Checks an ext file system. @throws {AppError} TOOL_TIMEOUT after `timeoutMs`; what Runner throws */
export async function checkExt(runner: Runner, device: string, timeoutMs: number, signal: AbortSignal): Promise<CheckResult> {
  const { exitCode, stdout, stderr } = await runner.run('e2fsck', ['-f', '-n', '--', device], { signal, timeoutMs, allowedExitCodes: EXT_ANSWERS })
  return { clean: exitCode === 0, output: `${stdout}${stderr}`.trim().slice(-OUTPUT_TAIL) }
}

/** Checks an XFS. @throws {AppError} TOOL_TIMEOUT after `timeoutMs`; what Runner throws */
export async function checkXfs(runner: Runner, device: string, timeoutMs: number, signal: AbortSignal): Promise<CheckResult> {
  const { exitCode, stdout, stderr } = await runner.run('xfs_repair', ['-n', '--', device], { signal, timeoutMs, allowedExitCodes: XFS_ANSWERS })
  return { clean: exitCode === 0, output: `${stdout}${stderr}`.trim().slice(-OUTPUT_TAIL) }
}

/** Checks a btrfs. @throws {AppError} TOOL_TIMEOUT after `timeoutMs`; what Runner throws */
export async function checkBtrfs(runner: Runner, device: string, timeoutMs: number, signal: AbortSignal): Promise<CheckResult> {
  const { exitCode, stdout, stderr } = await runner.run('btrfs', ['check', '--readonly', device], { signal, timeoutMs, allowedExitCodes: [1] })
  return { clean: exitCode === 0, output: `${stdout}${stderr}`.trim().slice(-OUTPUT_TAIL) }
}

/** Checks a FAT. @throws {AppError} TOOL_TIMEOUT after `timeoutMs`; what Runner throws */
export async function checkFat(runner: Runner, device: string, timeoutMs: number, signal: AbortSignal): Promise<CheckResult> {
  const { exitCode, stdout, stderr } = await runner.run('fsck.vfat', ['-n', '--', device], { signal, timeoutMs, allowedExitCodes: [1] })
  return { clean: exitCode === 0, output: `${stdout}${stderr}`.trim().slice(-OUTPUT_TAIL) }
}

/** Repairs an unmounted FAT that was not unmounted in order, which for others their log does when they are mounted. Nothing to do is fine. @throws {AppError} what Runner throws */
export async function repairFat(runner: Runner, device: string, signal: AbortSignal): Promise<void> {
  await runner.run('fsck.vfat', ['-a', '-w', '--', device], { signal, timeoutMs: REPAIR_MS, allowedExitCodes: [1] })
}
