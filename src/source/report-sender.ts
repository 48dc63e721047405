/**
 * Sends progress with findings while work goes on: the work tells and goes on at once, what it told is sent when the link takes it, the
 * newest figures for all that were told meanwhile.
 */
import type { Finding } from '../domain/finding.ts'

/** what one message carries at most, as JSON: well below the largest control message */
const MAX_FINDINGS_BYTES = 256 * 1024
/** what waits at most; the figures count all findings, the job shows fewer than this */
const MAX_WAITING = 10_000

export class ReportSender<Progress> {
  readonly #send: (progress: Progress, findings: readonly Finding[]) => Promise<void>
  #latest: Progress | undefined
  #waiting: Finding[] = []
  #sending: Promise<void> | undefined

  /** @param send rejects when the link has ended; then nothing more is sent */
  constructor(send: (progress: Progress, findings: readonly Finding[]) => Promise<void>) {
    this.#send = send
  }

  report(progress: Progress, findings: readonly Finding[]): void {
    this.#latest = progress
    this.#waiting.push(...findings.slice(0, MAX_WAITING - this.#waiting.length))
    this.#sending ??= this.#sendAll()
  }

  /** Everything that was told is sent, or the link has ended. */
  async finish(): Promise<void> {
    await this.#sending
  }

  async #sendAll(): Promise<void> {
    try {
      while (this.#latest !== undefined) {
        const progress = this.#latest
        const count = fitting(this.#waiting)
        const findings = this.#waiting.splice(0, count)
        if (this.#waiting.length === 0) this.#latest = undefined
        await this.#send(progress, findings)
      }
    } catch {
      // the link has ended: whoever waits for the answer to the request is told so
      this.#latest = undefined
      this.#waiting = []
    } finally {
      this.#sending = undefined
    }
  }
}

/** How many of the first findings fit into one message, at least one. */
function fitting(findings: readonly Finding[]): number {
  let bytes = 0
  for (const [i, finding] of findings.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(finding)) + 1
    if (bytes > MAX_FINDINGS_BYTES) return Math.max(i, 1)
  }
  return findings.length
}
