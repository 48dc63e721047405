/** A verification with its report, and with the repair of what it finds when that is wanted: a mirror, and a second verification that proves it. */
import type { Clock } from '../clock/clock.ts'
import { NO_VERIFY_PROGRESS, type VerifyBy, type VerifyProgress } from '../domain/verification.ts'
import { isAppError } from '../errors/app-error.ts'
import type { MirrorRequest, VolumeRoot } from '../wire/messages.ts'
import type { MirrorListener, SourceServer, Targets } from './source-server.ts'
import { VerifyReport } from './verify-report.ts'

export interface Verification {
  by: VerifyBy
  /** the mirror that repairs what was found; undefined: report only, nothing is written to the replica */
  repair: Omit<MirrorRequest, 'compare'> | undefined
  reportFile: string
  /** for the report */
  volumes: readonly VolumeRoot[]
  clock: Clock
  progress: (progress: VerifyProgress) => void
  repairing: MirrorListener
}

export interface VerificationResult {
  /** of the last round */
  verified: VerifyProgress
  /** differences of the first round */
  found: number
  /** of those, how many the second round did not find any more */
  repaired: number
}

/**
 * Verifies the prepared volumes of the source. The report is complete when this resolves; when it rejects its end mark says why, if it could
 * still be written. @throws {AppError} REPORT_NOT_WRITTEN, and as SourceServer.verify and mirror
 */
export async function verifyReplica(server: SourceServer, targets: Targets, verification: Verification, signal: AbortSignal): Promise<VerificationResult> {
  const { by, repair, clock, volumes } = verification
  const startedMs = clock.now()
  await using report = await VerifyReport.begin(verification.reportFile, {
    by, repair: repair !== undefined, volumes: volumes.map(({ index, path }) => ({ volume: index, path })), startedAtUtc: new Date(startedMs).toISOString(),
  })
  let latest = NO_VERIFY_PROGRESS
  const round = async (number: number): Promise<VerifyProgress> => await server.verify({ by }, targets, {
    differences: async differences => { await report.differences(number, differences) },
    progress: progress => { latest = progress; verification.progress(progress) },
  }, signal)
  const times = (): { durationMs: number, endedAtUtc: string } => ({ durationMs: clock.now() - startedMs, endedAtUtc: new Date(clock.now()).toISOString() })
  try {
    const first = await round(1)
    let verified = first
    if (repair !== undefined && first.differences + first.moving > 0) {
      const { progress } = await server.mirror({ ...repair, compare: by }, targets, verification.repairing, signal)
      await report.repair({ filesDone: progress.filesDone, bytesSent: progress.bytesSent, findings: progress.findings })
      verified = await round(2)
    }
    const repaired = Math.max(0, first.differences - verified.differences)
    await report.end({ ...verified, status: 'complete', repaired, ...times() })
    return { verified, found: first.differences, repaired }
  } catch (error) {
    if (isAppError(error) && error.code !== 'REPORT_NOT_WRITTEN') await endFailed(report, { ...latest, status: 'failed', code: error.code, message: error.message, repaired: 0, ...times() })
    throw error
  }
}

/** The failure that ended the verification is the news, not that the report's end mark could not be written behind it. */
async function endFailed(report: VerifyReport, end: Parameters<VerifyReport['end']>[0]): Promise<void> {
  try {
    await report.end(end)
  } catch (error) {
    if (!isAppError(error, 'REPORT_NOT_WRITTEN')) throw error
  }
}
