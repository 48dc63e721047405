import type { Finding } from '../domain/finding.ts'
import { isAppError } from '../errors/app-error.ts'

/** Takes a finding of the discovery. */
export type Report = (finding: Finding) => void

const MAX_FINDINGS = 200

/** A Report that fills `findings`, each once, up to a limit that is told as the last one. */
export function collectFindings(findings: Finding[]): Report {
  return finding => {
    if (findings.length > MAX_FINDINGS || findings.some(f => f.code === finding.code && f.subject === finding.subject && f.message === finding.message)) return
    findings.push(findings.length < MAX_FINDINGS ? finding : {
      code: 'DISCOVERY_FINDINGS_LIMIT', severity: 'warning', subject: 'discovery', message: `there are more than ${String(MAX_FINDINGS)} findings; the rest is not listed`,
      advice: 'Correct the listed ones and describe the source again.',
    })
  }
}

/** What `look` finds; when a tool, a file or a device refuses, that becomes a finding about `subject` and `fallback` is the answer. */
export async function orFinding<T>(report: Report, subject: string, advice: string, fallback: T, look: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  try {
    return await look()
  } catch (error) {
    signal.throwIfAborted()
    if (!isAppError(error) && !isSystemError(error)) throw error
    report({ code: 'DISCOVERY_INCOMPLETE', severity: 'error', subject, message: `${subject} could not be read: ${error.message}`, advice })
    return fallback
  }
}

/** An error with an errno name, as file system calls of Node give it. */
export function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
}
